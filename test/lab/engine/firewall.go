package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// dockerd leaves chains of its own in the machine's firewall, a policy that
// drops what is forwarded, and the kernel's forwarding on. The state before it
// is kept in a file below Run, and put back when the last engine is gone.

func (o *Own) before() string { return filepath.Join(o.Run, "before") }

const ipForward = "/proc/sys/net/ipv4/ip_forward"

// keepNetwork writes down how the machine forwards, once.
func (o *Own) keepNetwork(ctx context.Context) error {
	if _, err := os.Stat(o.before()); err == nil {
		return nil
	}
	forward, err := os.ReadFile(ipForward)
	if err != nil {
		return err
	}
	rules, err := iptables(ctx, "-S", "FORWARD")
	if err != nil {
		return err
	}
	policy, _, _ := strings.Cut(rules, "\n") // -P FORWARD ACCEPT
	return os.WriteFile(o.before(), []byte(policy+"\n"+strings.TrimSpace(string(forward))+"\n"), 0o644)
}

// restoreNetwork puts back what keepNetwork wrote down. While another engine
// runs, the chains are that one's too and stay.
func (o *Own) restoreNetwork(ctx context.Context) error {
	data, err := os.ReadFile(o.before())
	if err != nil || otherEngine() {
		return nil //nolint:nilerr // nothing was changed
	}
	var errs []error
	for _, table := range []string{"filter", "nat"} {
		rules, err := iptables(ctx, "-t", table, "-S")
		if err != nil {
			return err
		}
		for _, args := range undo(rules) {
			_, err := iptables(ctx, append([]string{"-t", table}, args...)...)
			errs = append(errs, err)
		}
	}
	policy, forward, _ := strings.Cut(strings.TrimSpace(string(data)), "\n")
	_, err = iptables(ctx, strings.Fields(policy)...)
	return errors.Join(append(errs, err, os.WriteFile(ipForward, []byte(forward), 0o644))...)
}

// undo returns the arguments of iptables that remove dockerd's chains, and the
// rules that lead to them, from a table as "iptables -S" prints it.
func undo(rules string) [][]string {
	var jumps, flushes, deletes [][]string
	for line := range strings.Lines(rules) {
		args := strings.Fields(line)
		switch {
		case len(args) < 2 || !strings.Contains(line, "DOCKER"):
		case args[0] == "-N":
			flushes = append(flushes, []string{"-F", args[1]})
			deletes = append(deletes, []string{"-X", args[1]})
		case args[0] == "-A" && !strings.HasPrefix(args[1], "DOCKER"):
			args[0] = "-D"
			jumps = append(jumps, args)
		}
	}
	return slices.Concat(jumps, flushes, deletes)
}

// otherEngine tells whether a dockerd runs on the machine.
func otherEngine() bool {
	names, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil {
		return false
	}
	return slices.ContainsFunc(names, func(path string) bool {
		comm, err := os.ReadFile(path)
		return err == nil && strings.TrimSpace(string(comm)) == "dockerd"
	})
}

func iptables(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, firewallProgram(), append([]string{"--wait"}, args...)...).Output()
	if err != nil {
		return "", fmt.Errorf("iptables %s: %w", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// firewallProgram returns the path of iptables, which a user's PATH often
// lacks, and "" where there is none.
func firewallProgram() string {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		if p := filepath.Join(dir, "iptables"); isProgram(p) {
			return p
		}
	}
	return ""
}
