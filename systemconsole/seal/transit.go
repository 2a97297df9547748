package seal

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/sealift/sealift/internal/authority"
	"github.com/sealift/sealift/internal/problem"
)

// TransitOptions say where the transit engine of a Vault or an OpenBao is, and
// which of its keys is the master key. Address, Key and TokenFile are required.
type TransitOptions struct {
	Address   string // https://HOST[:PORT]
	Mount     string // where the engine is mounted; empty means transit
	Key       string // name of the key in the engine
	Namespace string // of the service, where it has some
	TokenFile string // the token is read for each request: an agent may renew it
	CA        string // PEM file of an authority that is trusted besides the system's
}

// transitTime is how long the service may take to answer; maxTransit is the
// most bytes of an answer that are read.
const (
	transitTime = 15 * time.Second
	maxTransit  = 64 << 10
)

// transit is the client of a transit engine.
type transit struct {
	opts TransitOptions
	base *url.URL
	http *http.Client
}

var (
	_ Service = (*transit)(nil)
	_ Rotator = remote{}
)

// Transit returns the keeper of a key that never leaves a HashiCorp Vault or an
// OpenBao: their transit engine wraps and unwraps. It asks once, so that a wrong
// address, token or key is found at the start.
func Transit(ctx context.Context, opts TransitOptions) (Keeper, error) {
	if opts.Mount == "" {
		opts.Mount = "transit"
	}
	t := &transit{opts: opts}
	var err error
	if t.base, err = url.Parse(opts.Address); err != nil || t.base.Scheme != "https" || t.base.Host == "" || t.base.User != nil {
		return nil, problem.New(problem.Usage, "write it as https://vault.example.com:8200", "%q is no https:// address of a key management service", opts.Address)
	}
	for what, name := range map[string]string{"key": opts.Key, "mount": opts.Mount} {
		if !regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$`).MatchString(name) || strings.Contains(name, "..") {
			return nil, problem.New(problem.Usage, "use the name that the service lists", "%q is no name of a %s of a transit engine", name, what)
		}
	}
	pool, err := authority.Pool(opts.CA)
	if err != nil {
		return nil, err
	}
	// A token goes to no other address than the one that was given.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.http = &http.Client{Timeout: transitTime, CheckRedirect: stay,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	keeper := Remote(t)
	wrapped, err := keeper.Wrap(ctx, NewSecret(), "test")
	if err == nil {
		_, err = keeper.Unwrap(ctx, wrapped, "test")
	}
	if err != nil {
		return nil, fmt.Errorf("trying the key %s of %s: %w", opts.Key, opts.Address, err)
	}
	return keeper, nil
}

// Encrypt implements Service.
func (t *transit) Encrypt(ctx context.Context, plain []byte) ([]byte, error) {
	var out struct {
		Ciphertext string `json:"ciphertext"`
	}
	err := t.call(ctx, "encrypt/"+t.opts.Key, map[string]string{"plaintext": base64.StdEncoding.EncodeToString(plain)}, &out)
	if err == nil && out.Ciphertext == "" {
		err = errors.New("the service answered without a ciphertext")
	}
	return []byte(out.Ciphertext), err
}

// Decrypt implements Service.
func (t *transit) Decrypt(ctx context.Context, sealed []byte) ([]byte, error) {
	var out struct {
		Plaintext string `json:"plaintext"`
	}
	if err := t.call(ctx, "decrypt/"+t.opts.Key, map[string]string{"ciphertext": string(sealed)}, &out); err != nil {
		return nil, err
	}
	return base64.StdEncoding.DecodeString(out.Plaintext)
}

// Rotate makes a new version of the key in the service. What the versions
// before wrapped still opens, until the service is told otherwise.
func (t *transit) Rotate(ctx context.Context) error {
	return t.call(ctx, "keys/"+t.opts.Key+"/rotate", nil, nil)
}

// call posts to the engine and reads the data of its answer into out; nil
// sends or reads nothing.
func (t *transit) call(ctx context.Context, path string, in, out any) error {
	resp, err := t.post(ctx, path, in)
	if err != nil {
		return fmt.Errorf("asking the key management service: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxTransit))
	if err != nil {
		return fmt.Errorf("asking the key management service: %w", err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return refusal(resp, path, data)
	}
	if out == nil {
		return nil
	}
	answer := struct {
		Data any `json:"data"`
	}{out}
	if err := json.Unmarshal(data, &answer); err != nil {
		return fmt.Errorf("reading the answer of the key management service: %w", err)
	}
	return nil
}

func (t *transit) post(ctx context.Context, path string, in any) (*http.Response, error) {
	token, err := t.token()
	if err != nil {
		return nil, problem.WithRemedy(fmt.Errorf("reading its token: %w", err), "--kms-token-file names a file with the token and nothing else")
	}
	body := []byte("{}")
	if in != nil {
		if body, err = json.Marshal(in); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.base.JoinPath("v1", t.opts.Mount, path).String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Vault-Token", token)
	req.Header.Set("X-Vault-Request", "true") // agents and proxies ask for it
	if t.opts.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", t.opts.Namespace)
	}
	resp, err := t.http.Do(req)
	if err != nil {
		return nil, problem.WithRemedy(err, "look whether --kms-address is right and answers, and give the authority of its certificate with --kms-ca")
	}
	return resp, nil
}

func (t *transit) token() (string, error) {
	data, err := os.ReadFile(t.opts.TokenFile)
	if err != nil {
		return "", err
	}
	token := string(bytes.TrimSpace(data))
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("%s holds none", t.opts.TokenFile)
	}
	return token, nil
}

// refusal is what the service says against a request. A ciphertext that is not
// the key's is ErrSealed.
func refusal(resp *http.Response, path string, data []byte) error {
	var said struct {
		Errors []string `json:"errors"`
	}
	_ = json.Unmarshal(data, &said) // what is no JSON says nothing
	err := fmt.Errorf("the key management service answered %s to %s: %.300s", resp.Status, path, strings.Join(said.Errors, "; "))
	switch {
	case resp.StatusCode == http.StatusForbidden:
		return problem.WithRemedy(err, "the token must be valid and its policy allow update on "+path)
	case resp.StatusCode == http.StatusServiceUnavailable:
		return problem.WithRemedy(err, "unseal the key management service")
	case resp.StatusCode == http.StatusNotFound:
		return problem.WithRemedy(err, "enable the transit engine at this mount, and make the key in it")
	case resp.StatusCode == http.StatusBadRequest && strings.HasPrefix(path, "decrypt/"):
		return errors.Join(ErrSealed, err)
	default:
		return err
	}
}
