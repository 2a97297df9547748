package systemconsole

import "github.com/sealift/sealift/systemconsole/auth"

// registryRoutes are those of registries and of bundles on their way there.
func (s *Server) registryRoutes() []route {
	read, write := may(auth.ReadRegistries), may(auth.WriteRegistries)
	return []route{
		{pattern: "GET /registries", access: read, handler: s.registriesPage},
		{pattern: "GET /new-registry", access: write, handler: s.newRegistryPage},
		{pattern: "POST /new-registry", access: write, handler: s.addRegistry},
		{pattern: "POST /site-registry", access: write, handler: s.addSiteRegistryPage},
		{pattern: "GET /registries/{name}", access: read, handler: s.registryPage},
		{pattern: "GET /registries/{name}/contents/{part...}", access: read, handler: s.registryEntries},
		{pattern: "POST /registries/{name}/validate", access: write, handler: s.validateRegistry},
		{pattern: "GET /registries/{name}/remove", access: write, handler: s.removeRegistryPage},
		{pattern: "POST /registries/{name}/remove", access: write, handler: s.removeRegistry},
		{pattern: "POST " + uploadsPath + "{$}", access: write, handler: s.withUploads(s.upload)},
		{pattern: "HEAD " + uploadsPath + "{id}", access: write, handler: s.withUploads(s.upload)},
		{pattern: "PATCH " + uploadsPath + "{id}", access: write, handler: s.withUploads(s.upload), maxBody: chunkBody},
		{pattern: "POST /bundles", access: streamed(write), handler: s.withUploads(s.receiveBundle), maxBody: bundleBody},
		{pattern: "POST /bundles/{id}/remove", access: write, handler: s.withUploads(s.removeUpload)},
		{pattern: "GET /bundles/{id}", access: write, handler: s.withUploads(s.uploadPage)},
		{pattern: "POST /bundles/{id}", access: write, handler: s.withUploads(s.pushUpload)},
	}
}
