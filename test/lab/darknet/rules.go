package darknet

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"text/template"

	"github.com/sealift/sealift/internal/problem"
)

// rules is the table of nftables that belongs to one network.
type rules struct {
	table  string
	bridge string // this machine's interface of the network
}

//go:embed rules.nft
var ruleset string

// write makes the table anew.
func (r rules) write(ctx context.Context, clusters []netip.Prefix) error {
	var text bytes.Buffer
	values := struct {
		Table, Bridge string
		Clusters      []netip.Prefix
	}{r.table, r.bridge, clusters}
	if err := template.Must(template.New("rules").Parse(ruleset)).Execute(&text, values); err != nil {
		return err
	}
	_, err := nft(ctx, text.String(), "-f", "-")
	return err
}

// open lets the network reach this machine's addresses on it.
func (r rules) open(ctx context.Context, p netip.Prefix) error {
	_, err := nft(ctx, "", "add", "element", "inet", r.table, "site", "{", p.String(), "}")
	return err
}

// remove removes the table, if it is there.
func (r rules) remove(ctx context.Context) error {
	// Adding a table that is there changes nothing, and deleting needs one.
	_, err := nft(ctx, fmt.Sprintf("add table inet %s\ndelete table inet %s\n", r.table, r.table), "-f", "-")
	return err
}

func (r rules) forget(ctx context.Context) error {
	if _, err := nft(ctx, "", "flush", "set", "inet", r.table, "flows"); err != nil {
		return err
	}
	_, err := nft(ctx, "", "reset", "counter", "inet", r.table, "attempts")
	return err
}

func (r rules) attempts(ctx context.Context) (Attempts, error) {
	out, err := nft(ctx, "", "--json", "list", "table", "inet", r.table)
	if err != nil {
		return Attempts{}, err
	}
	return parseAttempts(out)
}

// parseAttempts reads the counter and the set of a table, as nft prints it.
func parseAttempts(data []byte) (Attempts, error) {
	var list struct {
		Nftables []struct {
			Counter *struct {
				Name    string `json:"name"`
				Packets int    `json:"packets"`
			} `json:"counter"`
			Set *struct {
				Name string            `json:"name"`
				Elem []json.RawMessage `json:"elem"`
			} `json:"set"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return Attempts{}, fmt.Errorf("reading what nft prints: %w", err)
	}
	var a Attempts
	found := false
	for _, o := range list.Nftables {
		if o.Counter != nil && o.Counter.Name == "attempts" {
			a.Packets, found = o.Counter.Packets, true
		}
		if o.Set == nil || o.Set.Name != "flows" {
			continue
		}
		for _, e := range o.Set.Elem {
			flow, err := parseFlow(e)
			if err != nil {
				return Attempts{}, err
			}
			a.Flows = append(a.Flows, flow)
		}
	}
	if !found {
		return Attempts{}, errors.New("the counter is gone")
	}
	slices.Sort(a.Flows)
	return a, nil
}

func parseFlow(data []byte) (string, error) {
	var e struct {
		Elem struct {
			Val struct {
				Concat []string `json:"concat"`
			} `json:"val"`
			Counter struct {
				Packets int `json:"packets"`
			} `json:"counter"`
		} `json:"elem"`
	}
	if err := json.Unmarshal(data, &e); err != nil || len(e.Elem.Val.Concat) != 2 {
		return "", fmt.Errorf("nft prints a flow that is none: %.200s", data)
	}
	return fmt.Sprintf("%s %d", strings.Join(e.Elem.Val.Concat, " > "), e.Elem.Counter.Packets), nil
}

// addAddress gives an interface of this machine one more address.
func addAddress(ctx context.Context, dev string, a netip.Addr) error {
	_, err := run(ctx, "", "iproute2", "ip", "address", "replace", a.String()+"/32", "dev", dev)
	return err
}

func nft(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	return run(ctx, stdin, "nftables", "nft", args...)
}

// run runs a program of a Debian package.
func run(ctx context.Context, stdin, debian, program string, args ...string) ([]byte, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		path = "/usr/sbin/" + program // a user's PATH often lacks it
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		remedy := "run this as root"
		if errors.Is(err, exec.ErrNotFound) || strings.Contains(err.Error(), "no such file") {
			remedy = "apt-get install " + debian
		}
		return nil, problem.New(problem.Preflight, remedy, "running %s: %w: %s", program, err, strings.TrimSpace(problems.String()))
	}
	return out.Bytes(), nil
}
