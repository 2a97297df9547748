package discovery

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Rules that find, outside of documents.
const (
	ruleAnnotation  = "chart-annotation"
	rulePackContent = "pack-content"
)

// Rules that find charts.
const (
	ruleChartSource = "chart-source"
	rulePackCharts  = "pack-charts"
)

// imageAnnotations are the annotations of charts that list their images.
func imageAnnotations() []string {
	return []string{"artifacthub.io/images", "helm.sh/images", "images"}
}

// ChartAnnotations reports the images that the annotations of a Chart.yaml
// list. An annotation that is not the list that it should be is ErrUnreadable.
func ChartAnnotations(source string, annotations map[string]string) (Report, error) {
	var report Report
	w := &walker{report: &report, source: source}
	for _, name := range imageAnnotations() {
		text, ok := annotations[name]
		if !ok {
			continue
		}
		path := fmt.Sprintf("annotations[%q]", name)
		err := parse([]byte(text), embeddedLimits(), func(v *value) { w.imageList(v, path, ruleAnnotation) })
		if err != nil {
			return report, unreadable(source+": "+path, err)
		}
	}
	report.sort()
	return report, nil
}

// imageList reads a list of references, or of maps with an image in each.
func (w *walker) imageList(v *value, path, rule string) {
	for i, item := range v.items {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case item.kind == yaml.ScalarNode && item.text != "":
			w.found(item.text, at, rule, Likely)
		case item.str("image") != "":
			w.found(item.str("image"), at+".image", rule, Likely)
		}
	}
}

// PackValues reports the images and charts that pack.content of a pack's
// values.yaml lists.
func PackValues(source string, valuesYAML []byte) (Report, error) {
	var report Report
	w := &walker{report: &report, source: source}
	err := parse(valuesYAML, documentLimits(), func(v *value) {
		content := v.get("pack").get("content")
		if images := content.get("images"); images != nil {
			w.imageList(images, "pack.content.images", rulePackContent)
		}
		for i, c := range content.get("charts").list() {
			w.need(ChartNeed{Repo: c.str("repo"), Name: c.str("name"), Version: c.str("version"), Rule: rulePackCharts,
				Path: fmt.Sprintf("pack.content.charts[%d]", i)})
		}
	})
	if err != nil {
		return report, unreadable(source, err)
	}
	report.sort()
	return report, nil
}

func (w *walker) need(c ChartNeed) {
	if c.Name == "" || w.muted != "" {
		return
	}
	c.Source, c.Object = w.source, w.object
	w.report.Charts = append(w.report.Charts, c)
}

// chartName is the name of a chart, as a repository knows it.
var chartName = regexp.MustCompile(`^[a-zA-Z0-9][\w./-]*$`)

// chart reports a map that names a chart to be fetched: an Argo CD
// application's source, a HelmChart of k3s, a HelmRelease of Flux, a
// HelmChartProxy of Cluster API. Settings that only speak of charts have
// neither a URL nor a source object.
func (w *walker) chart(v *value, p place) {
	_, name := first(v, []string{"chart", "chartName"})
	_, repo := first(v, []string{"repoURL", "repo", "repository"})
	if ref := v.get("sourceRef"); repo == "" && ref.str("kind") == "HelmRepository" {
		parts := []string{ref.str("kind"), ref.str("namespace"), ref.str("name")}
		repo = strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "/")
	} else if !strings.Contains(repo, "://") {
		return
	}
	if w.level > 0 || !chartName.MatchString(name) || templateMark.MatchString(repo) {
		return
	}
	_, version := first(v, []string{"version", "targetRevision", "chartVersion"})
	w.need(ChartNeed{Repo: repo, Name: name, Version: version, Rule: ruleChartSource, Path: p.path})
}
