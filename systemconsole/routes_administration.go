package systemconsole

// administrationRoutes are those of the settings.
func (s *Server) administrationRoutes() []route { return nil }
