package vsphere

import (
	"context"
	"fmt"
	"regexp"
)

// The categories of tags by which Kubernetes knows where a node is.
const (
	CategoryRegion = "k8s-region" // on the datacenter
	CategoryZone   = "k8s-zone"   // on the compute cluster
	// CategoryVersion is on a template: the version of Kubernetes in it.
	CategoryVersion = "k8s-version"
)

var labelValue = regexp.MustCompile(`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`)

// IsLabelValue tells whether a tag can be the value of a node's label.
func IsLabelValue(tag string) bool { return len(tag) <= 63 && labelValue.MatchString(tag) }

// Tags returns the names of an object's tags in one category.
func (c *Client) Tags(ctx context.Context, o Object, category string) ([]string, error) {
	m, err := c.tags(ctx)
	if err != nil {
		return nil, err
	}
	attached, err := m.GetAttachedTags(ctx, o.Ref)
	if err != nil {
		return nil, fmt.Errorf("reading the tags of %s: %w", o.Path, err)
	}
	var out []string
	for _, tag := range attached {
		of, err := m.GetCategory(ctx, tag.CategoryID)
		if err != nil {
			return nil, fmt.Errorf("reading the category of tag %s: %w", tag.Name, err)
		}
		if of.Name == category {
			out = append(out, tag.Name)
		}
	}
	return out, nil
}
