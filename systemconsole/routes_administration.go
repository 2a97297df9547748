package systemconsole

import "github.com/sealift/sealift/systemconsole/auth"

// administrationRoutes are those of the console's own settings.
func (s *Server) administrationRoutes() []route {
	read, write := may(auth.ReadSettings), may(auth.WriteSettings)
	return []route{
		{pattern: "GET /administration", access: read, handler: s.administrationPage},
		{pattern: "POST /administration", access: write, handler: s.saveAdministration},
		{pattern: "GET /administration/mail", access: read, handler: s.mailPage},
		{pattern: "POST /administration/mail", access: write, handler: s.saveMail},
		{pattern: "GET /administration/certificate", access: read, handler: s.tlsPage},
		{pattern: "POST /administration/certificate", access: write, handler: s.saveTLS},
		{pattern: "GET " + masterKeyPath, access: read, handler: s.masterKeyPage},
		{pattern: "POST " + masterKeyPath, access: write, handler: s.rotateMasterKeyOnPage},
		{pattern: "GET /administration/backup", access: read, handler: s.backupPage},
		{pattern: "POST /administration/backup", access: write, handler: s.saveBackup},
	}
}
