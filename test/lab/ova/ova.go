// Package ova packs the root file system of a node as an OVA: a descriptor, a
// manifest and a disk in VMware's streamOptimized format, that import into
// vSphere. Its disk is one ext4 file system, which the lab's vCenter has no need
// to boot, or one with a kernel and a boot loader for a real vSphere.
package ova

import (
	"archive/tar"
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	"github.com/sealift/sealift/internal/problem"
)

// Options describes the machine. Name is needed.
type Options struct {
	Name    string   // of the machine and of the files, such as node-v1.34.4
	Version string   // of Kubernetes, such as v1.34.4
	DiskGiB int      // default 8; the file has as many bytes as there is content
	Boots   bool     // the root has a kernel and systemd-boot: the disk is to boot from UEFI
	Without []string // files of the root that are left out
}

// Names of the files in an OVA are Name with these suffixes.
const (
	descriptorSuffix = ".ovf"
	manifestSuffix   = ".mf"
	diskSuffix       = "-disk1.vmdk"
)

//go:embed node.ovf
var descriptor string

// Write writes an OVA whose disk has the files of tar archives, each over those
// before it. It needs root, so that files keep their owners, and works in the
// folder of the OVA.
func Write(ctx context.Context, path string, roots []io.Reader, opts Options) error {
	if opts.DiskGiB == 0 {
		opts.DiskGiB = 8
	}
	work, err := os.MkdirTemp(filepath.Dir(path), "ova-")
	if err != nil {
		return err
	}
	err = write(ctx, path, work, roots, opts)
	return errors.Join(err, os.RemoveAll(work))
}

func write(ctx context.Context, path, work string, roots []io.Reader, opts Options) error {
	tree, raw, vmdk := filepath.Join(work, "root"), filepath.Join(work, "disk.raw"), filepath.Join(work, "disk.vmdk")
	if err := unpack(ctx, tree, roots, opts.Without); err != nil {
		return fmt.Errorf("unpacking the root file system: %w", err)
	}
	bytes := int64(opts.DiskGiB) << 30
	disk := func() error { return filesystem(ctx, tree, raw, 0, bytes) }
	if opts.Boots {
		disk = func() error { return partitions(ctx, work, tree, raw, bytes) }
	}
	if err := disk(); err != nil {
		return err
	}
	if err := run(ctx, nil, "qemu-utils", "qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized,adapter_type=lsilogic", raw, vmdk); err != nil {
		return fmt.Errorf("making the disk streamOptimized: %w", err)
	}
	return pack(path, vmdk, opts)
}

// unpack unpacks archives into a new folder.
func unpack(ctx context.Context, tree string, roots []io.Reader, without []string) error {
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	for _, root := range roots {
		// A folder that is a link already stays one: /lib leads to /usr/lib.
		if err := run(ctx, root, "tar", "tar", "--extract", "--numeric-owner", "--preserve-permissions", "--keep-directory-symlink", "--directory", tree); err != nil {
			return err
		}
	}
	for _, name := range without {
		if err := os.RemoveAll(filepath.Join(tree, name)); err != nil {
			return err
		}
	}
	return nil
}

// filesystem makes an ext4 file system of a folder at an offset of a disk. Its
// identifiers are always the same.
func filesystem(ctx context.Context, tree, disk string, offset, bytes int64) error {
	err := run(ctx, nil, "e2fsprogs", "mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-U", "5ea11f70-0000-4000-8000-000000000001",
		"-E", fmt.Sprintf("offset=%d,hash_seed=5ea11f70-0000-4000-8000-000000000002", offset), "-d", tree, disk, fmt.Sprintf("%dk", bytes>>10))
	if err != nil {
		return fmt.Errorf("making the disk's file system: %w", err)
	}
	return nil
}

// pack puts the disk with its descriptor and manifest into one file.
func pack(path, vmdk string, opts Options) error {
	info, err := os.Stat(vmdk)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := template.Must(template.New("ovf").Parse(descriptor)).Execute(&text, struct {
		Options
		Disk string
		Size int64
	}{opts, opts.Name + diskSuffix, info.Size()}); err != nil {
		return err
	}
	disk, err := os.Open(vmdk)
	if err != nil {
		return err
	}
	defer disk.Close() //nolint:errcheck // only read
	sum := sha256.New()
	if _, err := io.Copy(sum, disk); err != nil {
		return err
	}
	manifest := fmt.Sprintf("SHA256(%s)= %x\nSHA256(%s)= %s\n", opts.Name+descriptorSuffix, sha256.Sum256(text.Bytes()),
		opts.Name+diskSuffix, hex.EncodeToString(sum.Sum(nil)))
	if _, err := disk.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return writeTar(path, []entry{
		{opts.Name + descriptorSuffix, int64(text.Len()), &text},
		{opts.Name + manifestSuffix, int64(len(manifest)), strings.NewReader(manifest)},
		{opts.Name + diskSuffix, info.Size(), disk},
	})
}

type entry struct {
	name    string
	size    int64
	content io.Reader
}

// writeTar writes the entries in this order, which OVF asks for.
func writeTar(path string, entries []entry) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := tar.NewWriter(f)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: e.size, ModTime: time.Unix(1767225600, 0), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return errors.Join(err, f.Close())
		}
		if _, err := io.Copy(w, e.content); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(w.Close(), f.Close())
}

// DiskDigest returns the SHA-256, in hex, of an OVA's disk, as its manifest has it.
func DiskDigest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if err != nil {
			return "", fmt.Errorf("looking for the manifest of %s: %w", path, err)
		}
		if !strings.HasSuffix(h.Name, manifestSuffix) {
			continue
		}
		for lines := bufio.NewScanner(io.LimitReader(r, 64<<10)); lines.Scan(); {
			name, sum, ok := strings.Cut(lines.Text(), ")= ")
			if ok && strings.HasPrefix(name, "SHA256(") && strings.HasSuffix(name, ".vmdk") {
				return sum, nil
			}
		}
		return "", fmt.Errorf("the manifest of %s names no disk", path)
	}
}

func runText(ctx context.Context, stdin, debian, program string, args ...string) error {
	return run(ctx, strings.NewReader(stdin), debian, program, args...)
}

// run runs a program of a Debian package.
func run(ctx context.Context, stdin io.Reader, debian, program string, args ...string) error {
	path, err := exec.LookPath(program)
	if err != nil {
		path = "/usr/sbin/" + program // a user's PATH often lacks it
	}
	cmd := exec.CommandContext(ctx, path, args...)
	var problems bytes.Buffer
	cmd.Stdin, cmd.Stderr = stdin, &problems
	if err = cmd.Run(); err == nil {
		return nil
	}
	err = fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(problems.String()))
	if errors.Is(err, os.ErrNotExist) {
		return problem.New(problem.Preflight, "apt-get install "+debian, "%w", err)
	}
	return err
}
