package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime/debug"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The cost of argon2id: 7 MiB and five passes, the least memory of those that
// OWASP's Password Storage Cheat Sheet counts as equally strong, from 46 MiB and
// one pass on. It stands in every hash, so that it can be changed without
// resetting passwords.
const (
	hashMemory  = 7 << 10 // KiB
	hashTime    = 5
	hashThreads = 1
	saltBytes   = 16
	hashBytes   = 32
)

// The bounds of what a hash may ask for, so that a forged one cannot eat memory.
const (
	maxMemory = 256 << 10 // KiB
	maxTime   = 16
)

// hasher bounds how many hashes are computed at a time, and how many wait:
// memory is running x hashMemory, whoever tries passwords.
type hasher struct {
	running, waiting chan struct{}
}

func newHasher(running, waiting int) *hasher {
	return &hasher{running: make(chan struct{}, running), waiting: make(chan struct{}, running+waiting)}
}

// enter waits for a turn, and fails with ErrBusy when too many wait already.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	select {
	case h.waiting <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	select {
	case h.running <- struct{}{}:
		return h.leave, nil
	case <-ctx.Done():
		<-h.waiting
		return nil, ctx.Err()
	}
}

// leave ends a turn. The memory of the hash goes back to the system before the
// next one takes its own: left to the collector's pace, each login would add to
// what the process holds until that has doubled.
func (h *hasher) leave() {
	debug.FreeOSMemory()
	<-h.running
	<-h.waiting
}

// hash returns the hash of a password in the PHC string format.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // never fails
	sum := argon2.IDKey([]byte(password), salt, hashTime, hashMemory, hashThreads, hashBytes)
	enc := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, hashMemory, hashTime, hashThreads,
		enc.EncodeToString(salt), enc.EncodeToString(sum)), nil
}

// verify tells whether a password has a hash. An empty hash belongs to no
// password, and takes as long to find out.
func (h *hasher) verify(ctx context.Context, password, hash string) (bool, error) {
	p, parseErr := parseHash(hash)
	if hash == "" {
		p = parsed{memory: hashMemory, time: hashTime, threads: hashThreads, salt: make([]byte, saltBytes), sum: make([]byte, hashBytes)}
	} else if parseErr != nil {
		return false, parseErr
	}
	leave, err := h.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	sum := argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.threads, uint32(len(p.sum)))
	return subtle.ConstantTimeCompare(sum, p.sum) == 1 && hash != "", nil
}

// parsed is a hash taken apart.
type parsed struct {
	memory, time uint32
	threads      uint8
	salt, sum    []byte
}

func parseHash(hash string) (parsed, error) {
	var p parsed
	var version int
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return p, fmt.Errorf("reading the hash of a password: it is none of argon2id")
	}
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return p, fmt.Errorf("reading the hash of a password: version %.20q is not known", parts[2])
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil {
		return p, fmt.Errorf("reading the hash of a password: %w", err)
	}
	var saltErr, sumErr error
	p.salt, saltErr = base64.RawStdEncoding.DecodeString(parts[4])
	p.sum, sumErr = base64.RawStdEncoding.DecodeString(parts[5])
	switch {
	case saltErr != nil || sumErr != nil || len(p.salt) < 8 || len(p.sum) < 16 || len(p.sum) > 64:
		return p, fmt.Errorf("reading the hash of a password: salt or sum are malformed")
	case p.memory == 0 || p.memory > maxMemory || p.time == 0 || p.time > maxTime || p.threads == 0:
		return p, fmt.Errorf("reading the hash of a password: it asks for more than %d KiB or %d passes", maxMemory, maxTime)
	}
	return p, nil
}

// equal compares without telling by its time where two texts differ.
func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
