package kube

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/systemconsole/seal"
)

// The fields of the Secret: the key that wraps, and those before it, one a line.
const (
	masterKeyField = "key"
	beforeField    = "before"
)

// masterKey is the keeper of the master key in a Secret. Another server may
// rotate it: wrapping, which is rare, begins with the Secret as it is, and what
// cannot be unwrapped is tried again with it.
type masterKey struct {
	secrets         dynamic.ResourceInterface
	namespace, name string
	mu              sync.Mutex
	keeper          seal.Keeper
}

var _ seal.Rotator = (*masterKey)(nil)

// MasterKey returns the keeper of the master key in a Secret, which it makes
// when there is none. Of several servers that start at the same time one makes
// it. Without that Secret nothing of a backup can be read.
func MasterKey(ctx context.Context, config *rest.Config, namespace, name string) (seal.Keeper, error) {
	m, err := findMasterKey(ctx, config, namespace, name)
	if apierrors.IsNotFound(err) {
		made := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": name},
			"data": map[string]any{masterKeyField: base64.StdEncoding.EncodeToString(seal.NewSecret())}}}
		_, err = m.secrets.Create(ctx, made, metav1.CreateOptions{FieldManager: Manager})
		if err == nil || apierrors.IsAlreadyExists(err) {
			_, _, err = m.read(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// BeforeMasterKey returns k, which also opens what the master key in a Secret
// wrapped when there is one: k took its place.
func BeforeMasterKey(ctx context.Context, config *rest.Config, namespace, name string, k seal.Keeper) (seal.Keeper, error) {
	m, err := findMasterKey(ctx, config, namespace, name)
	if apierrors.IsNotFound(err) {
		return k, nil
	}
	if err != nil {
		return nil, err
	}
	return seal.After(k, m), nil
}

// findMasterKey fails with what apierrors.IsNotFound knows when there is none.
func findMasterKey(ctx context.Context, config *rest.Config, namespace, name string) (*masterKey, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = -1, 0 // a rotation wraps a key for each tenant
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reading the master key: %w", err)
	}
	m := &masterKey{secrets: client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "secrets"}).Namespace(namespace), namespace: namespace, name: name}
	_, _, err = m.read(ctx)
	return m, err
}

// read takes the keys out of the Secret and returns both.
func (m *masterKey) read(ctx context.Context) (*unstructured.Unstructured, [][]byte, error) {
	found, err := m.secrets.Get(ctx, m.name, metav1.GetOptions{})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the master key in Secret %s/%s: %w", m.namespace, m.name, err)
	}
	field := func(name string) []byte {
		text, _, _ := unstructured.NestedString(found.Object, "data", name) // what is missing is no key
		data, _ := base64.StdEncoding.DecodeString(text)                    // as is what is malformed
		return data
	}
	keys := [][]byte{field(masterKeyField)}
	if text := field(beforeField); len(text) > 0 {
		before, err := seal.Decode(string(text))
		if err != nil {
			return nil, nil, m.holdsNone()
		}
		keys = append(keys, before...)
	}
	keeper, err := seal.Local(keys[0], keys[1:]...)
	if err != nil {
		return nil, nil, m.holdsNone()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.keeper = keeper
	return found, keys, nil
}

func (m *masterKey) holdsNone() error {
	return problem.New(problem.Failed, "restore it from a backup", "reading the master key: Secret %s/%s holds none", m.namespace, m.name)
}

func (m *masterKey) current() seal.Keeper {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.keeper
}

// Wrap implements seal.Keeper. With a key from before a rotation it would wrap
// what that rotation has gone past, and nobody would bring under the new one.
func (m *masterKey) Wrap(ctx context.Context, secret []byte, owner string) (string, error) {
	if _, _, err := m.read(ctx); err != nil {
		return "", err
	}
	return m.current().Wrap(ctx, secret, owner)
}

// Unwrap implements seal.Keeper.
func (m *masterKey) Unwrap(ctx context.Context, wrapped, owner string) ([]byte, error) {
	secret, err := m.current().Unwrap(ctx, wrapped, owner)
	if !errors.Is(err, seal.ErrSealed) {
		return secret, err
	}
	if _, _, readErr := m.read(ctx); readErr != nil {
		return nil, readErr
	}
	return m.current().Unwrap(ctx, wrapped, owner)
}

// Rotate puts a new key first. Of several servers that rotate at the same time
// one does.
func (m *masterKey) Rotate(ctx context.Context) error {
	found, keys, err := m.read(ctx)
	if err != nil {
		return err
	}
	data := map[string]any{masterKeyField: base64.StdEncoding.EncodeToString(seal.NewSecret()),
		beforeField: base64.StdEncoding.EncodeToString([]byte(seal.Encode(keys)))}
	found.Object["data"] = data
	if _, err := m.secrets.Update(ctx, found, metav1.UpdateOptions{FieldManager: Manager}); err != nil {
		return fmt.Errorf("keeping the new master key in Secret %s/%s: %w", m.namespace, m.name, err)
	}
	_, _, err = m.read(ctx)
	return err
}
