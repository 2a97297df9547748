package mirror_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/sealift/sealift/internal/problem"
	"github.com/sealift/sealift/mirror"
)

const publicKey = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"

type object = map[string]any

// dig returns what stands at a path of keys and, for lists, the first element.
func dig(t *testing.T, v any, path ...string) any {
	for _, key := range path {
		if list, ok := v.([]any); ok {
			require.NotEmpty(t, list, key)
			v = list[0]
		}
		m, ok := v.(object)
		require.True(t, ok, "%s in %v", key, v)
		require.Contains(t, m, key)
		v = m[key]
	}
	return v
}

// parse reads the ConfigMap and the Job.
func parse(t *testing.T, data []byte) (config, job object) {
	documents := bytes.Split(data, []byte("\n---\n"))
	require.Len(t, documents, 2)
	require.NoError(t, yaml.UnmarshalStrict(documents[0], &config))
	require.NoError(t, yaml.UnmarshalStrict(documents[1], &job))
	return config, job
}

func TestJob(t *testing.T) {
	data, err := mirror.Job([]string{"s3://bundles/plane.tar"}, "harbor.site/mirror", []byte(publicKey), "registry.site/sealift:1", mirror.JobOptions{
		Shards: 4, CA: []byte("a certificate\n"), RegistrySecret: "harbor", StorageSecret: "s3", Endpoint: "https://s3.site", Region: "dark-1", PullSecret: "pull",
		Flags: []string{"--prefix=quay.io=quay"}})
	require.NoError(t, err)
	config, job := parse(t, data)
	require.Equal(t, publicKey, dig(t, config, "data", "bundle.pub"))
	require.Equal(t, "a certificate\n", dig(t, config, "data", "registry-ca.crt"))
	spec := dig(t, job, "spec")
	require.Equal(t, "Indexed", dig(t, spec, "completionMode"))
	require.InDelta(t, 4, dig(t, spec, "completions"), 0)
	require.InDelta(t, 4, dig(t, spec, "parallelism"), 0)
	pod := dig(t, spec, "template", "spec")
	require.Equal(t, "OnFailure", dig(t, pod, "restartPolicy"))
	require.Equal(t, true, dig(t, pod, "securityContext", "runAsNonRoot"))
	require.Equal(t, false, dig(t, pod, "automountServiceAccountToken"))
	require.Equal(t, "pull", dig(t, pod, "imagePullSecrets", "name"))
	container := dig(t, pod, "containers")
	require.Equal(t, true, dig(t, container, "securityContext", "readOnlyRootFilesystem"))
	require.Equal(t, "s3", dig(t, container, "envFrom", "secretRef", "name"))
	require.Equal(t, []any{"mirror", "push", "s3://bundles/plane.tar", "harbor.site/mirror", "--key", "/etc/sealift/config/bundle.pub", "--shard", "job/4",
		"--log-format", "json", "--registry-ca", "/etc/sealift/config/registry-ca.crt", "--prefix=quay.io=quay"}, dig(t, container, "args"))
	require.Contains(t, string(data), "{name: AWS_ENDPOINT_URL, value: \"https://s3.site\"}")
	require.Contains(t, string(data), "{name: SSL_CERT_FILE, value: /etc/sealift/config/registry-ca.crt}")
	require.Contains(t, string(data), "{name: AWS_REGION, value: \"dark-1\"}")
}

// TestJobDefaults covers what is left out.
func TestJobDefaults(t *testing.T) {
	data, err := mirror.Job([]string{"s3://bundles/plane.tar"}, "harbor.site", []byte(publicKey), "sealift:1", mirror.JobOptions{})
	require.NoError(t, err)
	_, job := parse(t, data)
	require.Equal(t, "sealift-mirror", dig(t, job, "metadata", "name"))
	for _, no := range []string{"envFrom", "AWS_", "DOCKER_CONFIG", "imagePullSecrets", "registry-ca", "secret"} {
		require.NotContains(t, strings.SplitN(string(data), "apiVersion", 2)[1], no+":")
		require.NotContains(t, string(data), "name: "+no)
	}
}

// TestJobQuotes covers values that would be YAML, or variables of Kubernetes.
func TestJobQuotes(t *testing.T) {
	const odd = "s3://b/a\": {x: y}\n  - 'z' # $(HOME) {{ .Key }} <&>"
	data, err := mirror.Job([]string{odd}, "harbor.site", []byte(publicKey), "sealift:1", mirror.JobOptions{})
	require.NoError(t, err)
	_, job := parse(t, data)
	args := dig(t, job, "spec", "template", "spec", "containers", "args").([]any)
	require.Equal(t, strings.Replace(odd, "$(", "$$(", 1), args[2])
}

func TestJobRefuses(t *testing.T) {
	good := func() ([]string, []byte, string, mirror.JobOptions) {
		return []string{"s3://bundles/plane.tar"}, []byte(publicKey), "sealift:1", mirror.JobOptions{}
	}
	for want, spoil := range map[string]func(*[]string, *[]byte, *string, *mirror.JobOptions){
		"no bundle":                 func(b *[]string, _ *[]byte, _ *string, _ *mirror.JobOptions) { *b = nil },
		`"plane.tar" is not in obj`: func(b *[]string, _ *[]byte, _ *string, _ *mirror.JobOptions) { *b = []string{"plane.tar"} },
		`"s3://b" is not in object`: func(b *[]string, _ *[]byte, _ *string, _ *mirror.JobOptions) { *b = []string{"s3://b"} },
		"not a public key":          func(_ *[]string, k *[]byte, _ *string, _ *mirror.JobOptions) { *k = []byte("awskms:///x") },
		"the key is not a public": func(_ *[]string, k *[]byte, _ *string, _ *mirror.JobOptions) {
			*k = []byte("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----")
		},
		`the image "A B"`: func(_ *[]string, _ *[]byte, i *string, _ *mirror.JobOptions) { *i = "A B" },
		"1001 shards":     func(_ *[]string, _ *[]byte, _ *string, o *mirror.JobOptions) { o.Shards = 1001 },
		"-1 shards":       func(_ *[]string, _ *[]byte, _ *string, o *mirror.JobOptions) { o.Shards = -1 },
		`the name "A"`:    func(_ *[]string, _ *[]byte, _ *string, o *mirror.JobOptions) { o.Name = "A" },
		`the name "a.b"`:  func(_ *[]string, _ *[]byte, _ *string, o *mirror.JobOptions) { o.Namespace = "a.b" },
		`the secret "A"`:  func(_ *[]string, _ *[]byte, _ *string, o *mirror.JobOptions) { o.RegistrySecret = "A" },
	} {
		bundles, key, image, opts := good()
		spoil(&bundles, &key, &image, &opts)
		_, err := mirror.Job(bundles, "harbor.site", key, image, opts)
		require.ErrorContains(t, err, want)
		require.Equal(t, problem.Usage, problem.KindOf(err))
	}
}
