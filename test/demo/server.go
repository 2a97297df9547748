package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// server is a registry, or the console, that runs beside the demo.
type server struct {
	cmd  *exec.Cmd
	host string // HOST:PORT of a registry without TLS, else the address
}

// start runs sealift as a server on a free port and waits for its address,
// which is the first line that it prints.
func (d *demo) start(s *server, args ...string) error {
	return d.startProgram(s, d.sealift, args...)
}

// startProgram does so with another build of sealift.
func (d *demo) startProgram(s *server, program string, args ...string) error {
	if !slices.Contains(args, "--addr") {
		args = append(args, "--addr", "127.0.0.1:0")
	}
	fmt.Printf("$ sealift %s &\n", strings.Join(args, " "))
	s.cmd = exec.CommandContext(d.ctx, program, args...)
	s.cmd.Dir, s.cmd.Stderr = d.dir, os.Stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("sealift %s did not start: %w", strings.Join(args, " "), err)
	}
	s.host = strings.TrimPrefix(strings.TrimSpace(line), "http://")
	fmt.Println(strings.TrimSpace(line))
	return nil
}

// stop ends the server. It may be called again.
func (s *server) stop() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
	s.cmd = nil
}
