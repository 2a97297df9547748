package systemconsole

// clusterRoutes are those of the enterprise cluster.
func (s *Server) clusterRoutes() []route { return nil }
