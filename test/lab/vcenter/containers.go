package vcenter

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/test/lab/engine"
)

// guestInfoDir is where a container finds its guestinfo values: one file a
// key, named guestinfo.userdata and so on, with the value as it was set. The
// file product_uuid beside them holds the machine's UUID.
const guestInfoDir = "/guestinfo"

// machineLabel is what the containers of a vCenter are found by.
const machineLabel = "sealift.lab.vcenter"

// Containers is a runtime whose machines are containers of a node image.
type Containers struct {
	Engine   *engine.Engine    // where they run
	Name     string            // of the vCenter: containers are named NAME-vm-42; two on one engine need two names
	Image    string            // the image of machines whose template has none of its own
	Disks    map[string]string // image by SHA-256 of the disk that was imported: what is imported decides what boots
	Images   map[string]string // image by name of template, for templates that were not imported
	Network  string            // the network of the engine for cards whose port group has none of its own
	Networks map[string]string // network by name of port group
	Args     []string          // further arguments of docker create, such as --privileged

	guests sync.Map // guestProcess by machine's id
}

var _ Runtime = (*Containers)(nil)

// Start creates the container where it is missing, puts the guestinfo values
// into it and starts it.
func (c *Containers) Start(ctx context.Context, spec Spec) error {
	name := c.container(spec.ID)
	if _, err := c.Engine.Run(ctx, "container", "inspect", name); err != nil {
		if err := c.create(ctx, spec); err != nil {
			return err
		}
	}
	files, err := guestInfo(spec)
	if err != nil {
		return fmt.Errorf("packing guestinfo of %s: %w", spec.Name, err)
	}
	if _, err := c.Engine.RunWith(ctx, files, "cp", "-", name+":/"); err != nil {
		return fmt.Errorf("giving machine %s its guestinfo: %w", spec.Name, err)
	}
	if _, err := c.Engine.Run(ctx, "start", name); err != nil {
		return fmt.Errorf("starting machine %s: %w", spec.Name, err)
	}
	return nil
}

func (c *Containers) create(ctx context.Context, spec Spec) error {
	image := cmp.Or(c.Disks[spec.Disk], c.Images[spec.Template], c.Image)
	if image == "" {
		return fmt.Errorf("creating machine %s: template %q has no image", spec.Name, spec.Template)
	}
	if err := c.Check(); err != nil {
		return fmt.Errorf("creating machine %s: %w", spec.Name, err)
	}
	args := []string{"create", "--name", c.container(spec.ID), "--hostname", spec.Name, "--label", machineLabel + "=" + c.Name}
	for _, card := range spec.Cards {
		network := c.Networks[card.Network]
		if network == "" {
			network = c.Network
		}
		args = append(args, "--network", "name="+network+",mac-address="+card.MAC)
	}
	if len(spec.Cards) == 0 {
		args = append(args, "--network", "none")
	}
	args = append(append(args, c.Args...), image)
	if _, err := c.Engine.Run(ctx, args...); err != nil {
		return fmt.Errorf("creating machine %s: %w", spec.Name, err)
	}
	return nil
}

// oldest is the first major version of Docker that gives each of a container's
// cards an address of its own.
const oldest = 25

// Check tells whether the engine can run machines.
func (c *Containers) Check() error {
	number, _, _ := strings.Cut(c.Engine.Version, ".")
	if major, err := strconv.Atoi(number); err == nil && major < oldest {
		return problem.New(problem.Preflight, fmt.Sprintf("update Docker to %d or newer, or set LAB_ENGINE=own: then the lab starts an engine beside it", oldest),
			"docker %s cannot give a machine's cards their addresses", c.Engine.Version)
	}
	return nil
}

// guestInfo packs the values as files, in an archive for docker cp. It takes
// nothing away: a value that is unset between two starts stays for the guest.
func guestInfo(spec Spec) (io.Reader, error) {
	values := maps.Clone(spec.GuestInfo)
	if values == nil {
		values = map[string]string{}
	}
	values["product_uuid"] = spec.UUID + "\n"
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	dir := strings.TrimPrefix(guestInfoDir, "/")
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o700}); err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if strings.Contains(key, "/") {
			continue // no such key can be asked for
		}
		if err := w.WriteHeader(&tar.Header{Name: path.Join(dir, key), Mode: 0o600, Size: int64(len(values[key]))}); err != nil {
			return nil, err
		}
		if _, err := io.WriteString(w, values[key]); err != nil {
			return nil, err
		}
	}
	return &buf, w.Close()
}

// Stop stops the container.
func (c *Containers) Stop(ctx context.Context, id string, grace time.Duration) error {
	args := []string{"kill", c.container(id)}
	if grace > 0 {
		args = []string{"stop", "--time", strconv.Itoa(int(grace.Seconds())), c.container(id)}
	}
	if _, err := c.Engine.Run(ctx, args...); err != nil && !missing(err) && !strings.Contains(err.Error(), "is not running") {
		return fmt.Errorf("stopping machine %s: %w", id, err)
	}
	return nil
}

// Reset kills the container and starts it again.
func (c *Containers) Reset(ctx context.Context, spec Spec) error {
	if err := c.Stop(ctx, spec.ID, 0); err != nil {
		return err
	}
	return c.Start(ctx, spec)
}

// Destroy removes the container and its anonymous volumes.
func (c *Containers) Destroy(ctx context.Context, id string) error {
	if _, err := c.Engine.Run(ctx, "rm", "--force", "--volumes", c.container(id)); err != nil && !missing(err) {
		return fmt.Errorf("removing machine %s: %w", id, err)
	}
	return nil
}

// Clean removes every container that a vCenter of this name has left.
func (c *Containers) Clean(ctx context.Context) error {
	out, err := c.Engine.Run(ctx, "ps", "--all", "--quiet", "--filter", "label="+machineLabel+"="+c.Name)
	if err != nil {
		return fmt.Errorf("looking for machines of %s: %w", c.Name, err)
	}
	ids := strings.Fields(out)
	if len(ids) == 0 {
		return nil
	}
	if _, err := c.Engine.Run(ctx, append([]string{"rm", "--force", "--volumes"}, ids...)...); err != nil {
		return fmt.Errorf("removing machines of %s: %w", c.Name, err)
	}
	return nil
}

// guestTools is what a node image of the lab has for VMware's tools: it prints
// as ip does, and nothing before the guest's network has settled.
const guestTools = "/usr/local/lib/guest/addresses"

// Addresses asks the guest, else the engine. Only the guest knows of addresses
// that it gave itself, as from its metadata. It is asked in its namespaces: by
// the engine each question would start four processes, and there are many.
func (c *Containers) Addresses(ctx context.Context, id string) ([]Address, error) {
	if guest, ok := c.guests.Load(id); ok {
		if list, err := guest.(guestProcess).addresses(ctx); err == nil {
			return list, nil
		}
		c.guests.Delete(id)
	}
	out, err := c.Engine.Run(ctx, "container", "inspect", "--format", "{{.State.Pid}} {{json .NetworkSettings.Networks}}", c.container(id))
	if err != nil {
		return nil, fmt.Errorf("reading addresses of machine %s: %w", id, err)
	}
	pid, networks, _ := strings.Cut(out, " ")
	if pid == "0" {
		return nil, fmt.Errorf("machine %s: %w", id, ErrEnded)
	}
	if guest, err := findGuest(pid); err == nil {
		if list, err := guest.addresses(ctx); err == nil {
			c.guests.Store(id, guest)
			return list, nil
		}
	}
	return engineAddresses([]byte(networks))
}

// guestProcess is the first process of a guest. Its namespace tells it from one
// that has its number later.
type guestProcess struct{ proc, namespace string }

func findGuest(pid string) (guestProcess, error) {
	proc := filepath.Join("/proc", pid)
	namespace, err := os.Readlink(filepath.Join(proc, "ns/net"))
	return guestProcess{proc, namespace}, err
}

func (g guestProcess) addresses(ctx context.Context) ([]Address, error) {
	enter := []string{"--net=" + filepath.Join(g.proc, "ns/net")}
	tools := []string{"ip", "-json", "address"}
	if _, err := os.Stat(filepath.Join(g.proc, "root", guestTools)); err == nil {
		enter, tools = append(enter, "--mount="+filepath.Join(g.proc, "ns/mnt")), []string{guestTools}
	}
	if now, err := os.Readlink(filepath.Join(g.proc, "ns/net")); err != nil || now != g.namespace {
		return nil, ErrEnded
	}
	out, err := exec.CommandContext(ctx, "nsenter", append(enter, tools...)...).Output()
	if err != nil {
		return nil, err
	}
	return guestAddresses(out)
}

// guestAddresses reads what ip -json address prints. Loopback and link-local
// addresses are no one's way in.
func guestAddresses(data []byte) ([]Address, error) {
	var links []struct {
		Address string `json:"address"`
		Type    string `json:"link_type"`
		Info    []struct {
			Local  string `json:"local"`
			Length int    `json:"prefixlen"`
			Scope  string `json:"scope"`
		} `json:"addr_info"`
	}
	if err := json.Unmarshal(data, &links); err != nil {
		return nil, fmt.Errorf("reading the guest's addresses: %w", err)
	}
	var list []Address
	for _, l := range links {
		a := Address{MAC: l.Address}
		for _, info := range l.Info {
			if info.Scope == "global" {
				a.IPs = append(a.IPs, info.Local+"/"+strconv.Itoa(info.Length))
			}
		}
		if l.Type == "ether" && len(a.IPs) > 0 {
			list = append(list, a)
		}
	}
	return list, nil
}

func engineAddresses(data []byte) ([]Address, error) {
	var networks map[string]struct {
		IPAddress   string
		IPPrefixLen int
		MacAddress  string
	}
	if err := json.Unmarshal(data, &networks); err != nil {
		return nil, fmt.Errorf("reading the engine's addresses: %w", err)
	}
	var list []Address
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		if n := networks[name]; n.IPAddress != "" {
			list = append(list, Address{MAC: n.MacAddress, IPs: []string{n.IPAddress + "/" + strconv.Itoa(n.IPPrefixLen)}})
		}
	}
	return list, nil
}

func (c *Containers) container(id string) string { return c.Name + "-" + id }

func missing(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && strings.Contains(err.Error(), "No such container")
}
