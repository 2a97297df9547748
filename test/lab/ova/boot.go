package ova

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sealift/sealift/internal/problem"
)

// A disk that boots has two partitions: that of the firmware, with
// systemd-boot, the kernel and its initial RAM disk, and the root.
const (
	sector    = 512
	espStart  = 2048   // sectors
	espSize   = 524288 // sectors: 256 MiB
	rootStart = espStart + espSize
	tableSize = 2048 // sectors kept at the end for the second table
)

// partitions writes a bootable disk.
func partitions(ctx context.Context, work, tree, raw string, bytes int64) error {
	if err := os.WriteFile(raw, nil, 0o644); err != nil {
		return err
	}
	if err := os.Truncate(raw, bytes); err != nil {
		return err
	}
	rootSize := bytes/sector - rootStart - tableSize
	table := fmt.Sprintf("label: gpt\nstart=%d, size=%d, type=uefi, name=esp\nstart=%d, size=%d, type=linux, name=root\n", espStart, espSize, rootStart, rootSize)
	if err := runText(ctx, table, "fdisk", "sfdisk", "--quiet", raw); err != nil {
		return fmt.Errorf("partitioning the disk: %w", err)
	}
	if err := filesystem(ctx, tree, raw, rootStart*sector, rootSize*sector); err != nil {
		return err
	}
	esp, err := loader(work, tree)
	if err != nil {
		return err
	}
	image := fmt.Sprintf("%s@@%d", raw, espStart*sector)
	if err := run(ctx, nil, "mtools", "mformat", "-i", image, "-F", "-c", "1", "-T", fmt.Sprint(espSize), "-v", "ESP", "::"); err != nil {
		return fmt.Errorf("making the firmware's file system: %w", err)
	}
	// Each folder with what is below it.
	return run(ctx, nil, "mtools", "mcopy", "-s", "-i", image, filepath.Join(esp, "EFI"), filepath.Join(esp, "loader"), filepath.Join(esp, "node"), "::/")
}

// loader makes the folder of what the firmware starts.
func loader(work, tree string) (string, error) {
	esp := filepath.Join(work, "esp")
	for to, pattern := range map[string]string{
		"EFI/BOOT/BOOTX64.EFI": "usr/lib/systemd/boot/efi/systemd-bootx64.efi",
		"node/linux":           "boot/vmlinuz-*",
		"node/initrd":          "boot/initrd.img-*",
	} {
		found, err := filepath.Glob(filepath.Join(tree, pattern))
		if err != nil || len(found) != 1 {
			return "", problem.New(problem.Preflight, "pack a root file system with one kernel and systemd-boot", "%d files are %s, and a disk that boots needs one", len(found), pattern)
		}
		target := filepath.Join(esp, to)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return "", err
		}
		if err := os.Link(found[0], target); err != nil { // the same disk
			return "", err
		}
	}
	entries := filepath.Join(esp, "loader", "entries")
	return esp, errors.Join(os.MkdirAll(entries, 0o755),
		os.WriteFile(filepath.Join(esp, "loader", "loader.conf"), []byte("default node.conf\ntimeout 0\n"), 0o644),
		os.WriteFile(filepath.Join(entries, "node.conf"), []byte("title node\nlinux /node/linux\ninitrd /node/initrd\n"+
			"options root=LABEL=root rw console=tty0 console=ttyS0,115200\n"), 0o644))
}
