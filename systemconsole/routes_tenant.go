package systemconsole

// tenantSiteRoutes are those of the tenants' own pages. Each has the tenant in
// its path; a test tries every one of them with what belongs to another tenant.
func (s *Server) tenantSiteRoutes() []route {
	return []route{
		{pattern: "GET /t/{tenant}/login", access: public(), handler: s.tenantLoginForm},
		{pattern: "POST /t/{tenant}/login", access: public(), handler: s.tenantLogin},
		{pattern: "GET /t/{tenant}/forgot", access: public(), handler: s.forgotForm},
		{pattern: "POST /t/{tenant}/forgot", access: public(), handler: s.forgot},
		{pattern: "GET /t/{tenant}/password", access: memberStep(), handler: s.tenantPasswordForm},
		{pattern: "POST /t/{tenant}/password", access: memberStep(), handler: s.tenantPasswordStep},
		{pattern: "GET /t/{tenant}/{$}", access: member(), handler: s.tenantHome},
		{pattern: "POST /t/{tenant}/logout", access: memberStep(), handler: s.tenantLogout},
		{pattern: "GET /t/{tenant}/account", access: member(), handler: s.tenantAccount},
		{pattern: "POST /t/{tenant}/account/password", access: member(), handler: s.tenantPassword},
		{pattern: "GET /t/{tenant}/users", access: administers(), handler: s.tenantUsers},
		{pattern: "GET /t/{tenant}/new-user", access: administers(), handler: s.newTenantUser},
		{pattern: "POST /t/{tenant}/users", access: administers(), handler: s.inviteTenantUser},
		{pattern: "GET /t/{tenant}/users/{user}", access: administers(), handler: s.tenantUserPage},
		{pattern: "POST /t/{tenant}/users/{user}/role", access: administers(), handler: s.setTenantUserRole},
		{pattern: "POST /t/{tenant}/users/{user}/disable", access: administers(), handler: s.disableTenantUser},
		{pattern: "POST /t/{tenant}/users/{user}/enable", access: administers(), handler: s.enableTenantUser},
		{pattern: "POST /t/{tenant}/users/{user}/reset", access: administers(), handler: s.resetTenantUser},
		{pattern: "GET /t/{tenant}/users/{user}/delete", access: administers(), handler: s.confirmDeleteTenantUser},
		{pattern: "POST /t/{tenant}/users/{user}/delete", access: administers(), handler: s.deleteTenantUser},
	}
}
