package systemconsole

import "github.com/sealift/sealift/systemconsole/auth"

// administrationRoutes are those of the console's own settings.
func (s *Server) administrationRoutes() []route {
	read, write, secure := may(auth.ReadSettings), may(auth.WriteSettings), may(auth.WriteSecurity)
	return []route{
		{pattern: "GET /administration", access: read, handler: s.administrationPage},
		{pattern: "POST /administration", access: write, handler: s.saveAdministration},
		{pattern: "GET /administration/security", access: read, handler: s.securityPage},
		{pattern: "POST /administration/security", access: secure, handler: s.saveSecurity},
		{pattern: "GET /administration/mail", access: read, handler: s.mailPage},
		{pattern: "POST /administration/mail", access: secure, handler: s.saveMail},
		{pattern: "GET /administration/proxy", access: read, handler: s.proxyPage},
		{pattern: "POST /administration/proxy", access: write, handler: s.saveProxy},
		{pattern: "GET /administration/certificate", access: read, handler: s.tlsPage},
		{pattern: "POST /administration/certificate", access: write, handler: s.saveTLS},
		{pattern: "GET " + masterKeyPath, access: read, handler: s.masterKeyPage},
		{pattern: "POST " + masterKeyPath, access: write, handler: s.rotateMasterKeyOnPage},
		{pattern: "GET /administration/backup", access: read, handler: s.backupPage},
		long(route{pattern: "POST /administration/backup", access: write, handler: s.saveBackup}),
		long(route{pattern: "POST /administration/backup/now", access: write, handler: s.writeBackupNow}),
		{pattern: "GET /administration/backup/{place}/{name}", access: write, handler: s.sendBackup},
		{pattern: "GET /administration/backup/{place}/{name}/restore", access: secure, handler: s.restorePage},
		long(route{pattern: "POST /administration/backup/{place}/{name}/restore", access: secure, handler: s.restoreBackup}),
	}
}
