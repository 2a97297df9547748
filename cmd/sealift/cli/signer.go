package cli

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sealift/sealift/bundles"
	"github.com/sealift/sealift/bundles/sign"
	"github.com/sealift/sealift/internal/problem"
)

// startSigner begins to open a private key.
//
// A key file is opened by a process of its own, "sealift key sign": the process
// that talks to registries never holds the key or its passphrase, nor the
// 64 MiB that cosign's encryption of key files takes. Keys in a service or a
// token are used from here: they may have to ask at the terminal.
func (a *app) startSigner(ctx context.Context, key string) (bundles.Signer, error) {
	if strings.Contains(key, ":") {
		return sign.NewSigner(ctx, key, sign.Options{Passphrase: func() ([]byte, error) { return a.passphrase(ctx) }})
	}
	passphrase, err := a.passphrase(ctx)
	if err != nil {
		return nil, err
	}
	defer clear(passphrase)
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("starting the signer: %w", err)
	}
	s := &signerProcess{cmd: exec.CommandContext(ctx, program, "key", "sign", "--key", key, "--log-format", "json")}
	s.cmd.Env = append(os.Environ(), "GOGC=off") // it ends before there is anything to collect
	s.cmd.Stderr = &s.err
	s.in, err = s.cmd.StdinPipe()
	if err == nil {
		s.out, err = s.cmd.StdoutPipe()
	}
	if err == nil {
		err = s.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("starting the signer: %w", err)
	}
	_ = writeField(s.in, passphrase) // a signer that is gone is told of by Sign
	return s, nil
}

// signerProcess is a signer in a process of its own. It gets the passphrase
// and the payload on its standard input; it writes keyOpened once it has the
// key, then the signature.
type signerProcess struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    io.ReadCloser
	err    bytes.Buffer
	opened bool
}

const keyOpened = '+'

// open waits until the key is open, for those who want to know before they
// have a payload.
func (s *signerProcess) open(ctx context.Context) error {
	if s.opened {
		return nil
	}
	var mark [1]byte
	if _, err := io.ReadFull(s.out, mark[:]); err != nil || mark[0] != keyOpened {
		return s.wait(ctx)
	}
	s.opened = true
	return nil
}

// Sign implements bundles.Signer. It can be called once.
func (s *signerProcess) Sign(ctx context.Context, payload []byte) ([]byte, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	_ = errors.Join(writeField(s.in, payload), s.in.Close()) // shows in how it ends
	signature, _ := io.ReadAll(io.LimitReader(s.out, maxField))
	return signature, s.wait(ctx)
}

// wait returns how the process ended.
func (s *signerProcess) wait(ctx context.Context) error {
	err := s.cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return s.failure(err)
	case !s.opened:
		return errors.New("signing: the signer ended without a word")
	default:
		return nil
	}
}

// failure turns what the process wrote back into an error with its remedies.
func (s *signerProcess) failure(err error) error {
	var told struct {
		Message  string   `json:"msg"`
		Remedies []string `json:"remedies"`
	}
	if json.Unmarshal(bytes.TrimSpace(s.err.Bytes()), &told) != nil || told.Message == "" {
		return fmt.Errorf("signing: %w", err)
	}
	kind := problem.Failed
	if s.cmd.ProcessState.ExitCode() == exitUsage {
		kind = problem.Usage
	}
	return problem.New(kind, strings.Join(told.Remedies, "; "), "%s", told.Message)
}

// keySign is the other side of signerProcess.
func (a *app) keySign() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "sign", Short: "Sign for another sealift process", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			passphrase, err := readField(a.In)
			if err != nil {
				return err
			}
			signer, err := sign.NewSigner(cmd.Context(), key, sign.Options{Passphrase: func() ([]byte, error) { return passphrase, nil }})
			if err != nil {
				return err
			}
			defer signer.Close()
			if _, err := a.Out.Write([]byte{keyOpened}); err != nil {
				return err
			}
			payload, err := readField(a.In)
			if err != nil {
				return err
			}
			signature, err := signer.Sign(cmd.Context(), payload)
			if err != nil {
				return err
			}
			_, err = a.Out.Write(signature)
			return err
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "private key `file`")
	return cmd
}

// maxField is the largest field between the two processes, in bytes.
const maxField = 64 << 20

// writeField writes the length of a field, four bytes, and the field.
func writeField(w io.Writer, data []byte) error {
	if err := binary.Write(w, binary.BigEndian, uint32(len(data))); err != nil {
		return err
	}
	_, err := w.Write(data)
	return err
}

// readField reads what writeField wrote.
func readField(r io.Reader) ([]byte, error) {
	var n uint32
	if err := binary.Read(r, binary.BigEndian, &n); err != nil {
		return nil, fmt.Errorf("reading what to sign: %w", err)
	}
	if n > maxField {
		return nil, fmt.Errorf("reading what to sign: %d bytes, the limit is %d", n, maxField)
	}
	data := make([]byte, n)
	_, err := io.ReadFull(r, data)
	return data, err
}
