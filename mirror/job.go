package mirror

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"github.com/distribution/reference"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/manifests"
)

// JobOptions is what an Indexed Job of Kubernetes needs besides the bundles,
// the registry and the image. The zero value of each field is fine.
type JobOptions struct {
	Name      string // of Job and ConfigMap; default sealift-mirror
	Namespace string // default default
	Shards    int    // pods; default 4
	CA        []byte // PEM certificates of the authority of registry and object storage
	// RegistrySecret is a secret of the type kubernetes.io/dockerconfigjson
	// with the credentials of the registry.
	RegistrySecret string
	// StorageSecret is a secret whose keys become variables of the environment:
	// AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
	StorageSecret string
	// PullSecret is a secret with the credentials for the image.
	PullSecret string
	Endpoint   string // URL of the object storage, if it is not Amazon's
	Region     string // of the object storage
	// Flags are more flags of mirror push, such as --prefix and quay.io=quay.
	Flags []string
}

// retries is how often a pod may fail before the Job does.
const retries = 6

// Where the template puts files.
const (
	jobKey = "/etc/sealift/config/bundle.pub"
	jobCA  = "/etc/sealift/config/registry-ca.crt"
)

// Job returns the YAML of an Indexed Job, and of the ConfigMap that belongs to
// it, that fills registry, HOST[:PORT][/PREFIX], from bundles in object storage,
// s3://BUCKET/KEY. key is the public key, PEM, that they are signed with; image
// is one that has sealift on its path. Secrets are named, not made.
func Job(bundles []string, registry string, key []byte, image string, opts JobOptions) ([]byte, error) {
	opts.Name, opts.Namespace, opts.Shards = cmp.Or(opts.Name, "sealift-mirror"), cmp.Or(opts.Namespace, "default"), cmp.Or(opts.Shards, 4)
	if err := checkJob(bundles, key, image, opts); err != nil {
		return nil, problem.As(problem.Usage, err)
	}
	args := append([]string{"mirror", "push"}, bundles...)
	args = append(args, registry, "--key", jobKey, "--shard", fmt.Sprintf("job/%d", opts.Shards), "--log-format", "json")
	if len(opts.CA) > 0 {
		args = append(args, "--registry-ca", jobCA)
	}
	args = append(args, opts.Flags...)
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "$(", "$$(") // Kubernetes would put a variable there
	}
	t, err := template.New("job-mirror.yaml").Funcs(template.FuncMap{"quote": quote}).Option("missingkey=error").Parse(manifests.JobMirror())
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, struct {
		JobOptions
		Key, CA, Image string
		Args           []string
		Retries        int
	}{opts, string(key), string(opts.CA), image, args, retries * opts.Shards})
	return out.Bytes(), err
}

// quote returns text as a string of YAML, whatever is in it.
func quote(text string) (string, error) {
	data, err := json.Marshal(text)
	return string(data), err
}

// checkJob returns everything that Kubernetes, or the pods, would refuse.
func checkJob(bundles []string, key []byte, image string, opts JobOptions) error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(len(bundles) == 0, "no bundle is named")
	for _, b := range bundles {
		bucket, object, _ := strings.Cut(strings.TrimPrefix(b, "s3://"), "/")
		fault(!strings.HasPrefix(b, "s3://") || bucket == "" || object == "", "the bundle %q is not in object storage: write s3://BUCKET/KEY", b)
	}
	_, err := reference.ParseNormalizedNamed(image)
	fault(err != nil, "the image %q: %w", image, err)
	fault(!bytes.Contains(key, []byte("PUBLIC KEY-----")) || bytes.Contains(key, []byte("PRIVATE")), "the key is not a public key in PEM: pods have no key service")
	fault(opts.Shards < 1 || opts.Shards > maxShards, "%d shards: use 1 to %d", opts.Shards, maxShards)
	label := regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	for _, name := range []string{opts.Name, opts.Namespace} {
		// Pods have the Job's name and their place in theirs.
		fault(!label.MatchString(name) || len(name) > 57, "the name %q is not one for Kubernetes: use lower-case letters, digits and -", name)
	}
	subdomain := regexp.MustCompile(`^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$`)
	for _, name := range []string{opts.RegistrySecret, opts.StorageSecret, opts.PullSecret} {
		fault(name != "" && !subdomain.MatchString(name), "the secret %q is not a name for Kubernetes", name)
	}
	return errors.Join(faults...)
}
