package systemconsole

import (
	"slices"

	"github.com/sealift/sealift/systemconsole/auth"
)

// clusterRoutes are those of the enterprise cluster.
func (s *Server) clusterRoutes() []route {
	read, write := may(auth.ReadCluster), may(auth.WriteCluster)
	return slices.Concat([]route{
		{pattern: "GET /cluster", access: read, handler: s.clusterPage},
		{pattern: "GET /cluster/nodes", access: read, handler: s.nodesPage},
		{pattern: "GET /cluster/nodes/{name}", access: read, handler: s.nodePage},
		{pattern: "GET /cluster/events", access: read, handler: s.eventsPage},
		{pattern: "GET /cluster/certificates", access: read, handler: s.certificatesPage},
		{pattern: "GET /cluster/components", access: read, handler: s.componentsPage},
		{pattern: "GET /cluster/new-pool", access: write, handler: s.newPoolPage},
		{pattern: "POST /cluster/new-pool", access: write, handler: s.addPool},
		{pattern: "GET /cluster/pools/{name}", access: read, handler: s.poolPage},
		{pattern: "POST /cluster/pools/{name}/scale", access: write, handler: s.scalePool},
		{pattern: "POST /cluster/pools/{name}/resize", access: write, handler: s.resizePool},
		{pattern: "GET /cluster/pools/{name}/remove", access: write, handler: s.removePoolPage},
		{pattern: "POST /cluster/pools/{name}/remove", access: write, handler: s.removePool},
		{pattern: "GET /cluster/upgrade", access: read, handler: s.upgradePage},
		{pattern: "POST /cluster/upgrade/resume", access: write, handler: s.resumeUpgrade},
		{pattern: "GET /cluster/upgrade/bundles/{id}", access: read, handler: s.withPlan(s.upgradePlanPage)},
		{pattern: "POST /cluster/upgrade/bundles/{id}", access: write, handler: s.withPlan(s.startUpgrade)},
		long(route{pattern: "POST /cluster/install/check", access: write, handler: s.installCheck}),
		{pattern: "POST /cluster/install/start", access: write, handler: s.installStart},
	}, s.clusterCalls())
}

// clusterCalls are those for programs.
func (s *Server) clusterCalls() []route {
	return []route{
		call("GET /cluster", auth.ReadCluster, "Show the enterprise cluster: pools, nodes, conditions, certificates", s.apiCluster),
		call("GET /cluster/events", auth.ReadCluster, "List the last 1,000 events, the newest first", s.apiEvents),
		call("GET /cluster/components", auth.ReadCluster, "List what is installed, with digests, bundle and signature", s.apiComponents),
		call("POST /cluster/pools", auth.WriteCluster, "Add a pool of workers", s.apiAddPool),
		call("POST /cluster/pools/{name}/scale", auth.WriteCluster, "Set the number of a pool's machines", s.apiScale),
		call("POST /cluster/pools/{name}/resize", auth.WriteCluster, "Replace a pool's machines by those of another size", s.apiResize),
		call("POST /cluster/pools/{name}/delete", auth.WriteCluster, "Remove a pool with all its machines", s.apiRemovePool),
		call("GET /cluster/upgrade", auth.ReadCluster, "Show the upgrade that is under way, or the last one", s.apiUpgrade),
		call("POST /cluster/upgrade/resume", auth.WriteCluster, "Go on with an upgrade that stopped", s.apiResumeUpgrade),
		call("GET /cluster/bundles", auth.ReadCluster, "List the bundles that an upgrade can be made of", s.apiBundles),
		call("GET /cluster/bundles/{id}/plan", auth.ReadCluster, "Show what an upgrade to a bundle would change", s.apiPlan),
		call("POST /cluster/bundles/{id}/upgrade", auth.WriteCluster, "Upgrade the cluster to a bundle", s.apiStartUpgrade),
	}
}
