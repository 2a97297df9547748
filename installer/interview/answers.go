package interview

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"text/template"

	"github.com/sealift/sealift/installer/site"
)

//go:embed site.yaml.tmpl
var siteTemplate string

// answers are what a person said, as it was typed.
type answers struct {
	Name, Bootstrap string

	Registry, RegistryPrefix, RegistryCA, RegistryEnv string

	Server, VCenterCA, Thumbprint, VCenterEnv                                     string
	Datacenter, Cluster, Datastore, Network, Folder, TemplateFolder, ResourcePool string

	DHCP                                                 bool
	Range, Prefix, Gateway, Endpoint                     string
	Nameservers, SearchDomains, NTP                      string
	ControlPlanes, ControlPlaneSize, Workers, WorkerSize string
	SSHKey                                               string
	Console                                              string
}

func defaults() answers {
	return answers{Bootstrap: string(site.BootstrapLocal), RegistryPrefix: "sealift", RegistryEnv: "SEALIFT_REGISTRY", VCenterEnv: "SEALIFT_VCENTER",
		Prefix: "24", ControlPlanes: "3", ControlPlaneSize: site.Small, Workers: "0", WorkerSize: site.Small}
}

// render writes site.yaml. Every answer is quoted as JSON, which is YAML.
func (a answers) render() ([]byte, error) {
	quote := func(v any) (string, error) {
		data, err := json.Marshal(v)
		return string(data), err
	}
	list := func(text string) (string, error) {
		return quote(strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }))
	}
	t, err := template.New("site.yaml").Funcs(template.FuncMap{"quote": quote, "list": list, "number": number}).Parse(siteTemplate)
	if err != nil {
		return nil, fmt.Errorf("reading the template of site.yaml: %w", err)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, a); err != nil {
		return nil, fmt.Errorf("writing site.yaml: %w", err)
	}
	return out.Bytes(), nil
}

// number writes digits as a number, and anything else so that the reader of the
// site refuses it by its field.
func number(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text != "" && len(text) < 10 && strings.Trim(text, "0123456789") == "" {
		return strings.TrimLeft(text[:len(text)-1], "0") + text[len(text)-1:], nil
	}
	data, err := json.Marshal(text)
	return string(data), err
}
