package web

import (
	"github.com/sealift/sealift/systemconsole/registries"
	"github.com/sealift/sealift/systemconsole/store"
)

// RegistriesPage lists the site's registries.
type RegistriesPage struct {
	Frame
	May        bool
	Site       bool // the one that the cluster was installed from can be added
	Registries []store.Item[registries.Registry]
	Upload     bool // bundles can be uploaded
	Uploads    []registries.Upload
}

// Template names the template.
func (RegistriesPage) Template() string { return "registries" }

// RegistryStatus says whether a registry answers.
func RegistryStatus(r registries.Registry) Status {
	switch {
	case r.Checked.IsZero():
		return Status{Unknown, "Not checked"}
	case r.Failure != "":
		return Status{Bad, "Does not answer"}
	default:
		return Status{Good, "Answers"}
	}
}

// NewRegistryPage asks for a registry.
type NewRegistryPage struct {
	Frame
	Draft registries.Draft
	Types []Choice
}

// Template names the template.
func (NewRegistryPage) Template() string { return "registry-new" }

// RegistryPage is one registry with what it holds.
type RegistryPage struct {
	Frame
	May      bool
	Name     string
	Registry registries.Registry
	Status   Status
	Parts    []string // repositories or charts
	Failure  string   // why they could not be listed
	Filter   string
}

// Template names the template.
func (RegistryPage) Template() string { return "registry" }

// EntriesPage is one repository or chart of a registry.
type EntriesPage struct {
	Frame
	Contents []registries.Entry
}

// Template names the template.
func (EntriesPage) Template() string { return "entries" }

// UploadPage is a bundle on its way into a registry.
type UploadPage struct {
	Frame
	Upload     registries.Upload
	Registry   string
	Registries []Option
}

// Template names the template.
func (UploadPage) Template() string { return "upload" }
