package systemconsole

import "github.com/sealift/sealift/systemconsole/auth"

// tenantRoutes are the administrators' pages about tenants.
func (s *Server) tenantRoutes() []route {
	read, write := may(auth.ReadTenants), may(auth.WriteTenants)
	return []route{
		{pattern: "GET /tenants", access: read, handler: s.tenantsPage},
		{pattern: "GET /new-tenant", access: write, handler: s.newTenant},
		{pattern: "POST /tenants", access: write, handler: s.createTenant},
		{pattern: "GET /tenants/{name}", access: read, handler: s.tenantPage},
		{pattern: "POST /tenants/{name}/activate", access: write, handler: s.activateTenant},
		{pattern: "POST /tenants/{name}/disable", access: write, handler: s.disableTenant},
		{pattern: "POST /tenants/{name}/enable", access: write, handler: s.enableTenant},
		{pattern: "POST /tenants/{name}/limits", access: write, handler: s.limitTenant},
		{pattern: "GET /tenants/{name}/delete", access: write, handler: s.confirmDeleteTenant},
		long(route{pattern: "POST /tenants/{name}/delete", access: write, handler: s.deleteTenant}),
	}
}

// accountRoutes are those of accounts and the own account.
func (s *Server) accountRoutes() []route {
	read, write, self := may(auth.ReadAccounts), may(auth.WriteAccounts), may(auth.Self)
	return []route{
		{pattern: "GET /accounts", access: read, handler: s.accountsPage},
		{pattern: "GET /new-account", access: write, handler: s.newAccount},
		{pattern: "POST /accounts", access: write, handler: s.createAccount},
		{pattern: "GET /accounts/{name}", access: read, handler: s.accountPage},
		{pattern: "POST /accounts/{name}", access: write, handler: s.updateAccount},
		{pattern: "POST /accounts/{name}/disable", access: write, handler: s.disableAccount},
		{pattern: "POST /accounts/{name}/enable", access: write, handler: s.enableAccount},
		{pattern: "POST /accounts/{name}/reset", access: write, handler: s.resetAccount},
		{pattern: "GET /accounts/{name}/delete", access: write, handler: s.confirmDeleteAccount},
		{pattern: "POST /accounts/{name}/delete", access: write, handler: s.deleteAccount},
		{pattern: "GET /me", access: self, handler: s.me},
		{pattern: "POST /me/second-factor", access: self, handler: s.beginFactor},
		{pattern: "GET /me/second-factor", access: self, handler: s.factorPage},
		{pattern: "GET /me/second-factor/qr.png", access: self, handler: s.factorPicture},
		{pattern: "POST /me/second-factor/confirm", access: self, handler: s.confirmFactor},
		{pattern: "POST /me/second-factor/remove", access: self, handler: s.removeFactor},
		{pattern: "POST /me/sessions/{name}/end", access: self, handler: s.endOwnSession},
		{pattern: "POST /me/tokens", access: self, handler: s.makeToken},
		{pattern: "POST /me/tokens/{name}/revoke", access: self, handler: s.revokeToken},
	}
}

// auditRoutes are those of the record of changes.
func (s *Server) auditRoutes() []route {
	return []route{
		{pattern: "GET /audit", access: may(auth.ReadAudit), handler: s.auditPage},
		{pattern: "POST /audit/verify", access: may(auth.ReadAudit), handler: s.verifyAudit},
		{pattern: "GET /audit.csv", access: may(auth.ReadAudit), handler: s.auditCSV},
	}
}
