package discovery_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/bundles/discovery"
	"github.com/sealift/sealift/internal/problem"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// discover reads one file and returns its findings and what was ignored, a
// line each: "certainty rule reference object path" and "rule as path".
func discover(t *testing.T, data string) (found, ignored []string) {
	t.Helper()
	r, err := discovery.Documents([]discovery.Document{{Source: "a.yaml", Data: []byte(data)}})
	require.NoError(t, err)
	for _, f := range r.Found {
		require.Equal(t, "a.yaml", f.Source)
		found = append(found, strings.Join([]string{string(f.Certainty), f.Rule, f.Reference, f.Object, f.Path}, " "))
	}
	for _, i := range r.Ignored {
		ignored = append(ignored, strings.Join([]string{i.Rule, i.As, i.Path}, " "))
	}
	return found, ignored
}

func TestContainers(t *testing.T) {
	for kind, prefix := range map[string]string{"Deployment": "spec.template.spec", "StatefulSet": "spec.template.spec", "DaemonSet": "spec.template.spec",
		"ReplicaSet": "spec.template.spec", "ReplicationController": "spec.template.spec", "Job": "spec.template.spec",
		"CronJob": "spec.jobTemplate.spec.template.spec", "Pod": "spec", "PodTemplate": "template.spec", "Rollout": "spec.template.spec"} {
		t.Run(kind, func(t *testing.T) {
			var b strings.Builder
			fmt.Fprintf(&b, "apiVersion: x/v1\nkind: %s\nmetadata: {name: n, namespace: ns}\n", kind)
			parts := strings.Split(prefix, ".")
			for i, p := range parts {
				fmt.Fprintf(&b, "%s%s:\n", strings.Repeat("  ", i), p)
			}
			in := strings.Repeat("  ", len(parts))
			fmt.Fprintf(&b, "%[1]sinitContainers: [{name: a, image: busybox}]\n%[1]scontainers: [{name: b, image: \"quay.io/x/y:1@%[2]s\"}]\n"+
				"%[1]sephemeralContainers: [{name: c, image: localhost:5000/debug}]\n%[1]svolumes: [{name: v, image: {reference: ghcr.io/m/model:3}}]\n", in, digest)
			found, ignored := discover(t, b.String())
			require.Empty(t, ignored)
			at := " " + kind + "/ns/n " + prefix
			require.Equal(t, []string{
				"certain container docker.io/library/busybox:latest" + at + ".initContainers[0].image",
				"certain image-volume ghcr.io/m/model:3" + at + ".volumes[0].image.reference",
				"certain container localhost:5000/debug:latest" + at + ".ephemeralContainers[0].image",
				"certain container quay.io/x/y:1@" + digest + at + ".containers[0].image",
			}, found)
		})
	}
}

func TestLists(t *testing.T) {
	found, _ := discover(t, `{"apiVersion":"v1","kind":"List","items":[{"kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"image":"a/b:1"}]}}]}`)
	require.Equal(t, []string{"certain container docker.io/a/b:1 Pod/a items[0].spec.containers[0].image"}, found)
}

func TestRulesThatFind(t *testing.T) {
	for name, c := range map[string]struct {
		data string
		want []string
	}{
		"image of a custom resource": {"kind: Alertmanager\nspec: {image: quay.io/prometheus/alertmanager:v0.27.0}",
			[]string{"likely image-field quay.io/prometheus/alertmanager:v0.27.0 Alertmanager/ spec.image"}},
		"image as a transport writes it": {"kind: DataVolume\nspec: {source: {registry: {imageURL: \"docker://quay.io/a/disk:1\"}}}",
			[]string{"likely image-field quay.io/a/disk:1 DataVolume/ spec.source.registry.imageURL"}},
		"a bare word": {"kind: X\nspec: {image: busybox}",
			[]string{"possible bare-word docker.io/library/busybox:latest X/ spec.image"}},
		"a list of images": {"kind: X\nspec: {images: [a/b:1, {name: n, image: \"c/d:2\"}]}",
			[]string{"likely image-field docker.io/a/b:1 X/ spec.images[0]", "likely image-field docker.io/c/d:2 X/ spec.images[1].image"}},
		"repository and tag": {"kind: X\nspec: {image: {registry: quay.io, repository: a/b, tag: 1.10}}",
			[]string{"likely image-parts quay.io/a/b:1.10 X/ spec.image"}},
		"repository with registry, tag and digest": {"kind: X\nspec: {proxy: {registry: other.io, repository: quay.io/a/b, tag: v1, digest: \"" + digest + "\"}}",
			[]string{"likely image-parts quay.io/a/b:v1@" + digest + " X/ spec.proxy"}},
		"repository, image and version": {"kind: ClusterPolicy\nspec: {driver: {repository: nvcr.io/nvidia, image: driver, version: \"550.1\"}}",
			[]string{"likely image-parts nvcr.io/nvidia/driver:550.1 ClusterPolicy/ spec.driver.image"}},
		"name and version below an image": {"kind: X\nspec: {image: {name: cr.l5d.io/linkerd/proxy, version: stable-2}}",
			[]string{"likely image-parts cr.l5d.io/linkerd/proxy:stable-2 X/ spec.image.name"}},
		"parts of the maps around": {"kind: X\nspec: {global: {hub: docker.io/istio, tag: 1.2}, proxy: {image: proxyv2}}",
			[]string{"likely inherited-parts docker.io/istio/proxyv2:1.2 X/ spec.proxy.image"}},
		"siblings": {"kind: X\nspec: {proxyImage: a/proxy, proxyImageTag: v3}",
			[]string{"likely sibling-parts docker.io/a/proxy:v3 X/ spec.proxyImage"}},
		"an image of OpenShift": {"kind: BuildConfig\nspec: {from: {kind: DockerImage, name: \"registry.access.redhat.com/ubi9:9.4\"}}",
			[]string{"likely docker-image registry.access.redhat.com/ubi9:9.4 BuildConfig/ spec.from.name"}},
		"variables": {`kind: Pod
metadata: {name: p}
spec:
  containers:
  - image: op/op:1
    env:
    - {name: RELATED_IMAGE_WEB, value: "quay.io/a/web@` + digest + `"}
    - {name: AGENT_IMAGE, value: "agent:7"}
    - {name: KAFKA_IMAGES, value: "3.0=quay.io/a/k:3.0\n3.1=quay.io/a/k:3.1"}
    - {name: BUILDER, value: "quay.io/a/builder:1"}
    - {name: SCAN_IMAGE, value: quay.io/a/scan}
    - {name: SCAN_IMAGE_TAG, value: v9}
    - {name: EMPTY}
    - {name: PULL, valueFrom: {fieldRef: {fieldPath: x}}}`,
			[]string{"likely image-variable docker.io/library/agent:7 Pod/p spec.containers[0].env[1].value",
				"certain container docker.io/op/op:1 Pod/p spec.containers[0].image",
				"likely variable quay.io/a/builder:1 Pod/p spec.containers[0].env[3].value",
				"likely image-variable quay.io/a/k:3.0 Pod/p spec.containers[0].env[2].value",
				"likely image-variable quay.io/a/k:3.1 Pod/p spec.containers[0].env[2].value",
				"likely sibling-parts quay.io/a/scan:v9 Pod/p spec.containers[0].env[4].value",
				"likely related-image-variable quay.io/a/web@" + digest + " Pod/p spec.containers[0].env[0].value"}},
		"arguments": {`kind: Pod
spec:
  containers:
  - image: op/op:1
    args: [--solver-image=a/solver, --engine-image, "a/engine:2", "--reloader=quay.io/a/reloader:v3", "-v", "2"]
    command: [sh, -c, "kubectl run --image=a/kubectl:1 x; crane pull quay.io/a/c:1"]`,
			[]string{"likely image-argument docker.io/a/engine:2 Pod/ spec.containers[0].args[2]",
				"likely image-argument docker.io/a/kubectl:1 Pod/ spec.containers[0].command[2]",
				"likely image-argument docker.io/a/solver:latest Pod/ spec.containers[0].args[0]",
				"certain container docker.io/op/op:1 Pod/ spec.containers[0].image",
				"possible image-like-text quay.io/a/c:1 Pod/ spec.containers[0].command[2]",
				"likely argument quay.io/a/reloader:v3 Pod/ spec.containers[0].args[3]"}},
		"ConfigMap": {"kind: ConfigMap\nmetadata: {name: c}\ndata:\n  queue-sidecar-image: a/queue:1\n  PROVISIONER: registry.k8s.io/x/p:v1\n" +
			"  scanner.repository: ghcr.io/a/scanner\n  scanner.tag: 0.5\n",
			[]string{"likely config-image-key docker.io/a/queue:1 ConfigMap/c data.queue-sidecar-image",
				"likely sibling-parts ghcr.io/a/scanner:0.5 ConfigMap/c data[\"scanner.repository\"]",
				"possible image-like-value registry.k8s.io/x/p:v1 ConfigMap/c data.PROVISIONER"}},
		"a JSON patch": {"- {op: add, path: /spec/initContainers, value: [{name: i, image: busybox}]}\n- {op: replace, path: /spec/containers/0/image, value: \"a/b:1\"}",
			[]string{"likely image-field docker.io/a/b:1  [1].value", "certain container docker.io/library/busybox:latest  [0].value[0].image"}},
		"a set of images": {"kind: ConfigMap\nmetadata: {name: csi-image-set}\ndata: {plugin: \"quay.io/a/csi:v3\", other: x}",
			[]string{"likely image-set quay.io/a/csi:v3 ConfigMap/csi-image-set data.plugin"}},
		"settings that lack a tag": {"kind: ConfigMap\nmetadata: {name: c}\ndata:\n  values: |\n    a: 1\n    controllerImage: cr.l5d.io/linkerd/controller\n",
			[]string{"possible image-field cr.l5d.io/linkerd/controller:latest ConfigMap/c data.values|0.controllerImage"}},
		"YAML in a ConfigMap": {"kind: ConfigMap\nmetadata: {name: c}\ndata:\n  helper.yaml: |\n    kind: Pod\n    spec:\n      containers: [{image: busybox}]\n" +
			"  base.yaml: |\n    base: quay.io/p\n    components:\n      loader:\n        tag: v9\n        image: noble\n        match: [{os: \"8\", image: alma8}]\n",
			[]string{"likely embedded-container docker.io/library/busybox:latest ConfigMap/c data[\"helper.yaml\"]|0.spec.containers[0].image",
				"likely inherited-parts quay.io/p/alma8:v9 ConfigMap/c data[\"base.yaml\"]|0.components.loader.match[0].image",
				"likely image-parts quay.io/p/noble:v9 ConfigMap/c data[\"base.yaml\"]|0.components.loader.image"}},
		"a template in a ConfigMap": {"kind: ConfigMap\nmetadata: {name: c}\ndata:\n  config: |\n    {{- define \"x\" }}\n    containers:\n    - name: a\n" +
			"      image: busybox:1.28 # for init\n      {{- if .x }}\n    foo: [\n    {{- end }}\n",
			[]string{"likely embedded-image-line docker.io/library/busybox:1.28 ConfigMap/c data.config|line 4"}},
		"a script in a ConfigMap": {"kind: ConfigMap\nmetadata: {name: c}\ndata:\n  run.sh: |\n    #!/bin/sh\n    export IMAGE=\"a/tool:1\"\n    crictl pull registry.k8s.io/pause:3.9\n",
			[]string{"likely embedded-image-line docker.io/a/tool:1 ConfigMap/c data[\"run.sh\"]|line 2",
				"possible image-like-text registry.k8s.io/pause:3.9 ConfigMap/c data[\"run.sh\"]|line 3"}},
		"Secret": {"kind: Secret\nmetadata: {name: s}\nstringData: {SIDE_IMAGE: \"a/b:1\"}\ndata: {cfg: aW1hZ2U6IGEvYzoyCng6IDEK}\n",
			[]string{"likely config-image-key docker.io/a/b:1 Secret/s stringData.SIDE_IMAGE", "likely image-field docker.io/a/c:2 Secret/s data.cfg|0.image"}},
		"default of a CRD": {`kind: CustomResourceDefinition
metadata: {name: x}
spec: {versions: [{schema: {openAPIV3Schema: {properties: {spec: {properties: {image: {type: string, default: "a/b:1"}}}}}}}]}`,
			[]string{"likely crd-default docker.io/a/b:1 CustomResourceDefinition/x spec.versions[0].schema.openAPIV3Schema#default.spec.image"}},
		"values of another chart": {"kind: HelmChart\nspec:\n  valuesContent: |\n    image:\n      repository: a/b\n      tag: \"7\"\n",
			[]string{"likely image-parts docker.io/a/b:7 HelmChart/ spec.valuesContent|0.image"}},
		"aliases and merges": {"kind: X\nbase: &b {repository: a/b}\nspec: {image: {<<: *b, tag: 1}}",
			[]string{"likely image-parts docker.io/a/b:1 X/ spec.image"}},
		"an unquoted macro beside an image": {"kind: Pod\nmetadata: {name: {{.spectro.var.n}}}\nspec: {containers: [{image: a/b:1}]}",
			[]string{"certain container docker.io/a/b:1 Pod/{{.spectro.var.n}} spec.containers[0].image"}},
	} {
		t.Run(name, func(t *testing.T) {
			found, _ := discover(t, c.data)
			require.Equal(t, c.want, found)
		})
	}
}

func TestRulesThatHoldDown(t *testing.T) {
	for name, c := range map[string]struct{ data, want string }{
		"a macro":                   {"kind: Pod\nspec: {containers: [{image: {{.spectro.var.i}}}]}", "unresolved-template {{.spectro.var.i}} spec.containers[0].image"},
		"a variable":                {"kind: X\nspec: {image: \"${REGISTRY}/a:1\"}", "unresolved-template ${REGISTRY}/a:1 spec.image"},
		"an expansion":              {"kind: Pod\nspec: {containers: [{image: a/b:1, args: [--x-image=$(IMG)]}]}", "unresolved-template $(IMG) spec.containers[0].args[0]"},
		"a pattern of a policy":     {"kind: ClusterPolicy\nspec: {pattern: {containers: [{image: \"!*:latest\"}]}}", "pattern !*:latest spec.pattern.containers[0].image"},
		"a URL":                     {"kind: X\nspec: {image: \"https://example.org/a.qcow2\"}", "url https://example.org/a.qcow2 spec.image"},
		"a path":                    {"kind: X\nspec: {image: /img/logo.png}", "file-path /img/logo.png spec.image"},
		"a path of Windows":         {"kind: X\nspec: {image: 'C:\\img\\a:1'}", "windows-path C:\\img\\a:1 spec.image"},
		"a service and port":        {"kind: X\nspec: {address: \"default/web:8080\"}", "host-and-port default/web:8080 spec.address"},
		"an API version":            {"kind: X\nspec: {what: \"apps.example.org/v1:Thing\"}", "api-version apps.example.org/v1:Thing spec.what"},
		"a network":                 {"kind: X\nspec: {image: 10.0.0.0/8}", "network-address 10.0.0.0/8 spec.image"},
		"an e-mail address":         {"kind: X\nspec: {image: me@example.org}", "e-mail me@example.org spec.image"},
		"a version":                 {"kind: X\nspec: {image: v1.2.3}", "version v1.2.3 spec.image"},
		"a time":                    {"kind: X\nspec: {image: \"15:04:05\"}", "time 15:04:05 spec.image"},
		"what is no reference":      {"kind: X\nspec: {image: quay.io/UPPER}", "not-a-reference quay.io/UPPER spec.image"},
		"a bare word":               {"kind: X\nspec: {osImage: ubuntu}", "bare-word ubuntu spec.osImage"},
		"no tag":                    {"kind: X\nspec: {image: {repository: a/b}}", "repository-without-tag a/b spec.image"},
		"no repository":             {"kind: X\nspec: {dns: {imageRepository: registry.k8s.io, imageTag: v1}}", "host-and-port registry.k8s.io:v1 spec.dns"},
		"filled by an injector":     {"kind: Pod\nspec: {containers: [{image: auto}]}", "filled-by-injector auto spec.containers[0].image"},
		"kubebuilder's placeholder": {"kind: Pod\nspec: {containers: [{image: \"controller:latest\"}]}", "kustomize-placeholder controller:latest spec.containers[0].image"},
		"a status":                  {"kind: Pod\nstatus: {containerStatuses: [{image: \"a/b:1\"}]}", "status a/b:1 status.containerStatuses[0].image"},
		"the last applied": {"kind: X\nmetadata: {annotations: {kubectl.kubernetes.io/last-applied-configuration: '{\"spec\":{\"image\":\"a/b:1\"}}'}}",
			"last-applied a/b:1 metadata.annotations[\"kubectl.kubernetes.io/last-applied-configuration\"]|0.spec.image"},
		"an example":                {"kind: X\nmetadata: {annotations: {alm-examples: '[{\"spec\":{\"image\":\"a/b:1\"}}]'}}", "example a/b:1 metadata.annotations.alm-examples|0[0].spec.image"},
		"an example in a ConfigMap": {"kind: ConfigMap\ndata: {_example: \"image: a/b:1\\nx: 1\"}", "example a/b:1 data._example|0.image"},
		"a repository in settings":  {"kind: X\nspec: {trivy.dbRepository: mirror.gcr.io/aquasec/trivy-db}", "repository-without-tag mirror.gcr.io/aquasec/trivy-db spec[\"trivy.dbRepository\"]"},
		"a description in a CRD": {"kind: CustomResourceDefinition\nspec: {versions: [{schema: {openAPIV3Schema: {description: \"such as quay.io/a/b:1.\"}}}]}",
			"crd-schema quay.io/a/b:1 spec.versions[0].schema.openAPIV3Schema.description"},
	} {
		t.Run(name, func(t *testing.T) {
			found, ignored := discover(t, c.data)
			require.Equal(t, []string{c.want}, ignored)
			for _, f := range found {
				require.Contains(t, f, "docker.io/a/b:1 ", "only the container beside it is found")
			}
		})
	}
}

// What stands in every chart must not even be worth a word.
func TestNothingToSay(t *testing.T) {
	found, ignored := discover(t, `apiVersion: v1
kind: Service
metadata:
  name: a
  labels: {image: a.b_1, helm.sh/chart: a-1.0}
  annotations: {time: "2006-01-02T15:04:05Z07:00", checksum/config: 0123456789abcdef, prometheus.io/port: "8080", owner: me@example.org}
spec:
  type: LoadBalancer
  ports: [{port: 80, targetPort: http}]
  imagePullPolicy: Always
  imagePullSecrets: [{name: regcred}]
  cidr: fd00::/8
  address: redis:6379
  user: system:serviceaccount:ns:name
  role: system:masters
  url: https://example.org:8443/path
  resource: deployments.apps/v1
  since: 15:04
  path: /var/run/a.sock
  mime: application/json
  text: "Use a:b, or c/d: e."
`)
	require.Empty(t, found)
	require.Empty(t, ignored)
}

func TestKustomizationReplaces(t *testing.T) {
	r, err := discovery.Documents([]discovery.Document{
		{Source: "config/manager/kustomization.yaml", Data: []byte("kind: Kustomization\nimages: [{name: a/b, newName: quay.io/a/b, newTag: v1}]")},
		{Source: "config/manager/manager.yaml", Data: []byte("kind: Pod\nspec: {containers: [{image: \"a/b:latest\"}, {image: \"a/c:1\"}]}")},
		{Source: "other/pod.yaml", Data: []byte("kind: Pod\nspec: {containers: [{image: \"a/b:2\"}]}")}})
	require.NoError(t, err)
	require.Equal(t, []string{"docker.io/a/b:2", "docker.io/a/c:1", "quay.io/a/b:v1"}, r.Images(discovery.Likely))
	require.Equal(t, "replaced-by-kustomization", r.Ignored[0].Rule)
}

func TestChartsThatAreNeeded(t *testing.T) {
	r, err := discovery.Documents([]discovery.Document{{Source: "a.yaml", Data: []byte(`kind: Application
metadata: {name: a}
spec: {source: {repoURL: "https://charts.example.org", chart: web, targetRevision: 1.2.3}}
---
kind: HelmRelease
metadata: {name: b}
spec: {chart: {spec: {chart: db, version: "2", sourceRef: {kind: HelmRepository, name: r}}}}
---
kind: Settings
spec: {chart: "a chart", repoURL: "https://charts.example.org", next: {chart: web, repo: stable}}
---
kind: ConfigMap
data:
  a.yaml: |
    chart: web
    repo: https://charts.example.org
`)}})
	require.NoError(t, err)
	require.Equal(t, []discovery.ChartNeed{
		{Repo: "HelmRepository/r", Name: "db", Version: "2", Rule: "chart-source", Source: "a.yaml", Object: "HelmRelease/b", Path: "spec.chart.spec"},
		{Repo: "https://charts.example.org", Name: "web", Version: "1.2.3", Rule: "chart-source", Source: "a.yaml", Object: "Application/a", Path: "spec.source"},
	}, r.Charts)
}

func TestDocumentsNamesFileAndLine(t *testing.T) {
	r, err := discovery.Documents([]discovery.Document{
		{Source: "bad.yaml", Data: []byte("a: 1\n---\nb: [\n")},
		{Source: "good.yaml", Data: []byte("kind: Pod\nspec: {containers: [{image: a}]}")},
		{Source: "worse.yaml", Data: []byte("a: 1\n{{ if .x }}\nb: 2\n")}})
	require.ErrorIs(t, err, discovery.ErrUnreadable)
	require.Equal(t, problem.Usage, problem.KindOf(errors(err)[0]))
	require.Regexp(t, `(?s)^bad\.yaml:\d: .*\nworse\.yaml:\d: `, err.Error())
	require.Equal(t, []string{"docker.io/library/a:latest"}, r.Images(discovery.Certain))
}

func errors(joined error) []error {
	return joined.(interface{ Unwrap() []error }).Unwrap()
}

func TestLimits(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'k'; c++ {
		bomb += fmt.Sprintf("%[1]c: &%[1]c [%[2]s]\n", c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 9), ","))
	}
	for name, c := range map[string]struct{ data, want string }{
		"size":     {"a: " + strings.Repeat("x", 65<<20), "bytes, more than"},
		"document": {"a: 1\n---\na: " + strings.Repeat("x", 9<<20), "x.yaml:2: "},
		"values":   {"a: [" + strings.Repeat("1,", 1_000_001) + "1]", "a document of more than 1000000 values"},
		"bomb":     {bomb, "its aliases stand for more than 100000 values"},
		"depth":    {strings.Repeat("[", 300) + strings.Repeat("]", 300), "nested more than 200 deep"},
		"itself":   {"a: &a [*a]", "nested more than 200 deep"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := discovery.Documents([]discovery.Document{{Source: "x.yaml", Data: []byte(c.data)}})
			require.ErrorIs(t, err, discovery.ErrUnreadable)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "x.yaml")
		})
	}
}

func TestHelmsSeparator(t *testing.T) {
	found, _ := discover(t, "kind: A\n---# comment\nkind: B\nspec: {image: a/b:1}\n---kind: C\nspec: {image: a/c:1}\n")
	require.Equal(t, []string{"likely image-field docker.io/a/b:1 B/ spec.image", "likely image-field docker.io/a/c:1 C/ spec.image"}, found)
}

func TestChartAnnotations(t *testing.T) {
	r, err := discovery.ChartAnnotations("Chart.yaml", map[string]string{
		"artifacthub.io/images": "- name: a\n  image: quay.io/a/b:1\n  platforms: [linux/amd64]\n",
		"helm.sh/images":        "- image: a/c:{{ .Chart.AppVersion }}\n- a/d:2\n", "other": "["})
	require.NoError(t, err)
	require.Equal(t, []discovery.Finding{
		{Reference: "docker.io/a/d:2", As: "a/d:2", Certainty: discovery.Likely, Rule: "chart-annotation", Source: "Chart.yaml", Path: `annotations["helm.sh/images"][1]`},
		{Reference: "quay.io/a/b:1", As: "quay.io/a/b:1", Certainty: discovery.Likely, Rule: "chart-annotation", Source: "Chart.yaml", Path: `annotations["artifacthub.io/images"][0].image`},
	}, r.Found)
	require.Equal(t, "unresolved-template", r.Ignored[0].Rule)
	_, err = discovery.ChartAnnotations("Chart.yaml", map[string]string{"helm.sh/images": "["})
	require.ErrorIs(t, err, discovery.ErrUnreadable)
	require.ErrorContains(t, err, `Chart.yaml: annotations["helm.sh/images"]`)
}

func TestPackValues(t *testing.T) {
	r, err := discovery.PackValues("values.yaml", []byte(`pack:
  namespace: {{.spectro.system.namespace}}
  content:
    images:
      - image: quay.io/a/b:1
      - image: "quay.io/a/c:{{ .spectro.var.version }}"
    charts:
      - {repo: "https://charts.example.org", name: a, version: 1.0.0}
charts:
  a: {image: {repository: quay.io/a/z, tag: 1}}
`))
	require.NoError(t, err)
	require.Equal(t, []discovery.Finding{{Reference: "quay.io/a/b:1", As: "quay.io/a/b:1", Certainty: discovery.Likely, Rule: "pack-content",
		Source: "values.yaml", Path: "pack.content.images[0].image"}}, r.Found)
	require.Equal(t, []discovery.Ignored{{As: "quay.io/a/c:{{ .spectro.var.version }}", Rule: "unresolved-template", Source: "values.yaml",
		Path: "pack.content.images[1].image"}}, r.Ignored)
	require.Equal(t, []discovery.ChartNeed{{Repo: "https://charts.example.org", Name: "a", Version: "1.0.0", Rule: "pack-charts",
		Source: "values.yaml", Path: "pack.content.charts[0]"}}, r.Charts)
	_, err = discovery.PackValues("values.yaml", []byte("a: ["))
	require.ErrorIs(t, err, discovery.ErrUnreadable)
}

func TestMerge(t *testing.T) {
	one := discovery.Report{Found: []discovery.Finding{{Reference: "b"}, {Reference: "a", Certainty: discovery.Possible}}}
	two := discovery.Report{Found: []discovery.Finding{{Reference: "b"}, {Reference: "a", Certainty: discovery.Certain}}}
	both := one.Merge(two)
	require.Equal(t, []discovery.Finding{{Reference: "a", Certainty: discovery.Certain}, {Reference: "a", Certainty: discovery.Possible}, {Reference: "b"}}, both.Found)
	require.Equal(t, both, two.Merge(one))
}
