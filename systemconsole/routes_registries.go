package systemconsole

// registryRoutes are those of the registries.
func (s *Server) registryRoutes() []route { return nil }
