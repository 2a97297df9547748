package systemconsole

import (
	"net/http"
	"time"

	"github.com/sealift/sealift/systemconsole/auth"
	"github.com/sealift/sealift/systemconsole/registries"
	"github.com/sealift/sealift/systemconsole/store"
)

// Registry is one of the site's registries as the API shows it.
type Registry struct {
	Name     string               `json:"name"`
	Type     registries.Type      `json:"type"`
	Endpoint string               `json:"endpoint"`
	Prefix   string               `json:"prefix,omitempty"`
	Username string               `json:"username,omitempty"`
	HasKey   bool                 `json:"hasKey"` // without the key that bundles are signed with none gets into it
	Checked  time.Time            `json:"checked,omitzero"`
	Failure  string               `json:"failure,omitempty"` // why it did not answer then
	Found    string               `json:"found,omitempty"`   // what was seen when it last answered
	Last     *registries.LastPush `json:"last,omitempty"`    // the bundle that was last brought into it
}

// RegistryList is the site's registries.
type RegistryList struct {
	Registries []Registry `json:"registries"`
}

// UploadList is the bundles that were uploaded and still take room.
type UploadList struct {
	Uploads []registries.Upload `json:"uploads"`
}

// Push says which registry an upload is brought into.
type Push struct {
	Registry string `json:"registry"`
}

// registryCalls are those of registries and of bundles on their way there, for
// programs.
func (s *Server) registryCalls() []route {
	write := auth.WriteRegistries
	return append([]route{
		call("GET /registries", auth.ReadRegistries, "List the site's registries", s.apiRegistries),
		call("POST /registries", write, "Add a registry, and ask it whether it answers", s.apiAddRegistry),
		call("POST /site-registry", write, "Add the registry that the cluster was installed from, with the login of the installation", s.apiAddSiteRegistry),
		call("POST /registries/{name}/validate", write, "Ask a registry whether it answers", s.apiValidateRegistry),
		call("DELETE /registries/{name}", write, "Forget a registry; what it holds stays there", s.apiRemoveRegistry),
		call("GET /uploads", write, "List the bundles that were uploaded and still take room", s.apiUploads),
		call("GET /uploads/{id}", write, "Show how far an upload is, and its way into a registry", s.apiShowUpload),
		call("POST /uploads/{id}/push", write, "Verify every byte and signature of an upload, then push it into a registry; it is shown how far that is", s.apiPush),
		call("DELETE /uploads/{id}", write, "Remove an upload", s.apiRemoveUpload),
	}, s.tusCalls()...)
}

// tusCalls are those that bring the bytes of a bundle: the tus protocol, 1.0,
// with its extension creation.
func (s *Server) tusCalls() []route {
	access, h := token(auth.WriteRegistries), s.withUploads(s.apiUpload)
	version := parameter{"Tus-Resumable", "string", "1.0.0, the version of the protocol (https://tus.io)"}
	offset := parameter{"Upload-Offset", "integer", "bytes that are there"}
	one := apiUploadsPath + "{id}"
	return []route{
		{pattern: "POST " + apiPrefix + "/uploads", access: access, handler: h, op: &operation{summary: "Begin to upload a bundle", in: nothing{}, out: nothing{},
			headers: []parameter{version, {"Upload-Length", "integer", "bytes of the file"},
				{"Upload-Metadata", "string", "pairs of a name and a value in Base64, with commas: filename, and fingerprint, by which the sender knows the file when it goes on later"}},
			status: http.StatusCreated, answers: []parameter{{"Location", "string", "address of the upload"}}}},
		{pattern: "HEAD " + one, access: access, handler: h, op: &operation{summary: "Ask how much of an upload is there", in: nothing{}, out: nothing{},
			headers: []parameter{version}, status: http.StatusOK, answers: []parameter{offset, {"Upload-Length", "integer", "bytes of the file"}}}},
		{pattern: "PATCH " + one, access: access, handler: h, maxBody: chunkBody, op: &operation{summary: "Send the next bytes, 64 MiB at most", out: nothing{},
			headers: []parameter{version, offset}, sent: "application/offset+octet-stream", answers: []parameter{offset}}},
	}
}

func registryOf(item store.Item[registries.Registry]) Registry {
	v := item.Value
	return Registry{Name: item.Name, Type: v.Type, Endpoint: v.Endpoint, Prefix: v.Prefix, Username: v.Username, HasKey: v.Key != "",
		Checked: v.Checked, Failure: v.Failure, Found: v.Found, Last: v.Push}
}

func (s *Server) apiRegistries(r *http.Request, _ nothing) (RegistryList, error) {
	list := RegistryList{Registries: []Registry{}}
	all, err := s.registries.List(r.Context())
	for _, item := range all {
		list.Registries = append(list.Registries, registryOf(item))
	}
	return list, err
}

func (s *Server) apiAddRegistry(r *http.Request, d registries.Draft) (Registry, error) {
	item, err := s.keepRegistry(r.Context(), d)
	return registryOf(item), err
}

func (s *Server) apiAddSiteRegistry(r *http.Request, _ nothing) (Registry, error) {
	item, err := s.addSiteRegistry(r.Context())
	return registryOf(item), err
}

func (s *Server) apiValidateRegistry(r *http.Request, _ nothing) (Registry, error) {
	item, err := s.registries.Validate(r.Context(), r.PathValue("name"))
	return registryOf(item), err
}

func (s *Server) apiRemoveRegistry(r *http.Request, _ nothing) (nothing, error) {
	return nothing{}, s.registries.Remove(r.Context(), r.PathValue("name"))
}

func (s *Server) apiUploads(r *http.Request, _ nothing) (UploadList, error) {
	list := UploadList{Uploads: []registries.Upload{}}
	if s.uploads == nil {
		return list, errNoUploads()
	}
	all, err := s.uploads.List(r.Context())
	list.Uploads = append(list.Uploads, all...)
	return list, err
}

func (s *Server) apiShowUpload(r *http.Request, _ nothing) (registries.Upload, error) {
	if s.uploads == nil {
		return registries.Upload{}, errNoUploads()
	}
	return s.uploads.Get(r.Context(), r.PathValue("id"))
}

func (s *Server) apiPush(r *http.Request, in Push) (nothing, error) {
	if s.uploads == nil {
		return nothing{}, errNoUploads()
	}
	return nothing{}, s.uploads.Start(r.Context(), r.PathValue("id"), in.Registry)
}

func (s *Server) apiRemoveUpload(r *http.Request, _ nothing) (nothing, error) {
	if s.uploads == nil {
		return nothing{}, errNoUploads()
	}
	return nothing{}, s.uploads.Remove(r.Context(), r.PathValue("id"))
}
