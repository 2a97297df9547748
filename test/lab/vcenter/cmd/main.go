// Command cmd runs a vCenter until it is interrupted:
//
//	go run ./test/lab/vcenter/cmd -addr 172.30.0.1:443 -ca ca.crt -image kindest/node:v1.34.4 -network dark
//
// It prints one line of JSON with what a client needs. Without an image its
// machines have power but never boot.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/sealift/sealift/test/lab/engine"
	"github.com/sealift/sealift/test/lab/vcenter"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "vcenter:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	authority := flag.String("ca", "vcenter-ca.crt", "file for the certificate of the private authority")
	image := flag.String("image", "", "image of the machines")
	network := flag.String("network", "bridge", "network of the engine for the machines")
	name := flag.String("name", "vcenter", "name of the vCenter: the machines' containers are named NAME-vm-42")
	args := flag.String("args", "", "further arguments of docker create, separated by spaces, such as --privileged")
	flag.Parse()

	options := vcenter.Options{Addr: *addr, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	if *image != "" {
		docker, err := engine.Find(ctx)
		if err != nil {
			return err
		}
		machines := &vcenter.Containers{Engine: docker, Name: *name, Image: *image, Network: *network, Args: strings.Fields(*args)}
		if err := machines.Check(); err != nil {
			return err
		}
		if err := machines.Clean(ctx); err != nil { // what an interrupted run left
			return err
		}
		options.Runtime = machines
	}
	v, err := vcenter.Start(ctx, options)
	if err != nil {
		return err
	}
	defer v.Close()
	if err := os.WriteFile(*authority, v.Authority(), 0o644); err != nil {
		return fmt.Errorf("writing the authority: %w", err)
	}
	err = json.NewEncoder(os.Stdout).Encode(map[string]any{
		"url": v.URL().String(), "ca": *authority, "thumbprint": v.Thumbprint(),
		"admin": login(v.Admin()), "installer": login(vcenter.Installer()),
	})
	<-ctx.Done()
	return err
}

func login(u vcenter.User) map[string]string {
	return map[string]string{"name": u.Name, "password": u.Password}
}
