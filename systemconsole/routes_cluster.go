package systemconsole

import "github.com/sealift/sealift/systemconsole/auth"

// clusterRoutes are those of the enterprise cluster.
func (s *Server) clusterRoutes() []route {
	read, write := may(auth.ReadCluster), may(auth.WriteCluster)
	return []route{
		{pattern: "GET /cluster", access: read, handler: s.clusterPage},
		{pattern: "GET /cluster/nodes", access: read, handler: s.nodesPage},
		{pattern: "GET /cluster/nodes/{name}", access: read, handler: s.nodePage},
		{pattern: "GET /cluster/events", access: read, handler: s.eventsPage},
		{pattern: "GET /cluster/certificates", access: read, handler: s.certificatesPage},
		{pattern: "GET /cluster/new-pool", access: write, handler: s.newPoolPage},
		{pattern: "POST /cluster/new-pool", access: write, handler: s.addPool},
		{pattern: "GET /cluster/pools/{name}", access: read, handler: s.poolPage},
		{pattern: "POST /cluster/pools/{name}/scale", access: write, handler: s.scalePool},
		{pattern: "POST /cluster/pools/{name}/resize", access: write, handler: s.resizePool},
		{pattern: "GET /cluster/pools/{name}/remove", access: write, handler: s.removePoolPage},
		{pattern: "POST /cluster/pools/{name}/remove", access: write, handler: s.removePool},
		{pattern: "POST /cluster/install/check", access: write, handler: s.installCheck},
		{pattern: "POST /cluster/install/start", access: write, handler: s.installStart},
	}
}
