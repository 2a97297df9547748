package interview

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/charmbracelet/huh"

	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/installer/vsphere"
)

func (i *interview) askName(ctx context.Context) error {
	a := &i.answers
	return i.form(ctx, "The site",
		input("Name of the site", &a.Name).Placeholder("north"),
		choose("Temporary control plane: as processes of this host, or in Docker or Podman (kind)", &a.Bootstrap, string(site.BootstrapLocal), string(site.BootstrapKind)))
}

func (i *interview) askRegistry(ctx context.Context) error {
	a := &i.answers
	return i.form(ctx, "The registry",
		input("Registry, HOST or HOST:PORT", &a.Registry).Placeholder("registry.north.example:5000"),
		input("Prefix of every repository; with Harbor the project", &a.RegistryPrefix),
		input("File with its authority's certificate; empty: the system's", &a.RegistryCA),
		input("Credentials are in NAME_USERNAME and NAME_PASSWORD; NAME, or empty for docker's configuration", &a.RegistryEnv))
}

// askVCenter asks how the vCenter is reached, and looks whether it can be.
func (i *interview) askVCenter(ctx context.Context) error {
	a := &i.answers
	look := true
	err := i.form(ctx, "The vCenter",
		input("vCenter, HOST or HOST:PORT", &a.Server).Placeholder("vcenter.north.example"),
		input("File with its authority's certificate; empty: the system's, or a thumbprint", &a.VCenterCA),
		input("Thumbprint of its certificate, AA:BB:...; empty with a file", &a.Thumbprint),
		input("Credentials are in NAME_USERNAME and NAME_PASSWORD; NAME", &a.VCenterEnv),
		huh.NewConfirm().Title("Log in now, to choose from what it has?").Value(&look))
	if err != nil || !look {
		return err
	}
	if err := i.look(ctx); err != nil {
		fmt.Fprintf(i.options.Out, "\nThe vCenter cannot be asked what it has; please type the places by hand.\n  %v\n\n", err)
	}
	return nil
}

// login takes the credentials of the environment, or asks for them.
func (i *interview) login() (vsphere.User, error) {
	s := &site.Site{}
	s.Spec.VCenter.Server, s.Spec.VCenter.Credentials.FromEnv = i.answers.Server, i.answers.VCenterEnv
	login, err := s.VCenterLogin(i.options.Login)
	if errors.Is(err, site.ErrNoCredentials) {
		s.Spec.VCenter.Credentials = site.Credentials{From: "prompt"}
		login, err = s.VCenterLogin(i.options.Login)
	}
	return vsphere.User{Name: login.Username, Password: login.Password.Reveal()}, err
}

// lookTimeout is how long the vCenter may take to say what it has.
const lookTimeout = 30 * time.Second

// look reads the inventory.
func (i *interview) look(ctx context.Context) error {
	user, err := i.login()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	ca := i.answers.VCenterCA
	if ca != "" && !filepath.IsAbs(ca) {
		ca = filepath.Join(i.options.Dir, ca)
	}
	client, err := vsphere.Connect(ctx, i.answers.Server, user, vsphere.Options{CAFile: ca, Thumbprint: i.answers.Thumbprint})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(ctx) }() // the vCenter ends it in time, if it cannot be told
	i.inventory, err = client.Inventory(ctx)
	return err
}

// askPlaces asks for the places, the datacenter first: the others lie in it.
func (i *interview) askPlaces(ctx context.Context) error {
	a := &i.answers
	if err := i.form(ctx, "Where the machines go", i.place("Datacenter", vsphere.Datacenter, "", &a.Datacenter)); err != nil {
		return err
	}
	dc := a.Datacenter
	if err := i.form(ctx, "Where the machines go", i.place("Compute cluster", vsphere.Cluster, dc, &a.Cluster)); err != nil {
		return err
	}
	return i.form(ctx, "Where the machines go",
		i.place("Resource pool", vsphere.ResourcePool, a.Cluster, &a.ResourcePool),
		i.place("Datastore", vsphere.Datastore, dc, &a.Datastore),
		i.place("Network of the nodes", vsphere.Network, dc, &a.Network),
		i.place("Folder for machines", vsphere.Folder, dc+"/vm", &a.Folder),
		i.place("Folder for templates", vsphere.Folder, dc+"/vm", &a.TemplateFolder))
}

// place offers what the vCenter has below a path, or asks for a name.
func (i *interview) place(title string, kind vsphere.Kind, below string, value *string) huh.Field {
	if i.inventory == nil {
		return input(title, value)
	}
	var paths []string
	for _, o := range i.inventory.All(kind, below) {
		paths = append(paths, o.Path)
	}
	if len(paths) == 0 {
		return input(title, value)
	}
	return choose(title, value, paths...)
}

func (i *interview) askCluster(ctx context.Context) error {
	a := &i.answers
	sizes := []string{site.Small, site.Medium, site.Large}
	return i.form(ctx, "The cluster",
		choose("Machines of the control plane", &a.ControlPlanes, "1", "3", "5"),
		choose("Their size: small 8 CPUs/16 GiB/60 GiB, medium 16/32/100, large 32/64/120", &a.ControlPlaneSize, sizes...),
		input("Workers", &a.Workers),
		choose("Their size", &a.WorkerSize, sizes...),
		input("SSH key for the machines; empty: none", &a.SSHKey).Placeholder("ssh-ed25519 AAAA..."))
}

func (i *interview) askNetwork(ctx context.Context) error {
	a := &i.answers
	how := "range"
	if err := i.form(ctx, "The network", choose("Addresses of the nodes", &how, "range", "dhcp")); err != nil {
		return err
	}
	a.DHCP = how == "dhcp"
	var fields []huh.Field
	if !a.DHCP {
		fields = append(fields, input("Range, FIRST-LAST", &a.Range).Placeholder("10.20.0.20-10.20.0.40"), input("Length of the network's prefix", &a.Prefix),
			input("Gateway", &a.Gateway))
	}
	return i.form(ctx, "The network", append(fields,
		input("Address of the control plane, outside of the range", &a.Endpoint),
		input("Name servers, with commas between them", &a.Nameservers),
		input("Search domains; empty: none", &a.SearchDomains),
		input("Time servers", &a.NTP))...)
}

func (i *interview) askConsole(ctx context.Context) error {
	return i.form(ctx, "The console", input("Name of the system console's host; empty: the control plane's address", &i.answers.Console))
}
