package discovery

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/distribution/reference"
)

// Rules that hold a string down: it reads like an image, or stands where one
// does, and is none.
const (
	ruleTemplate     = "unresolved-template"
	rulePattern      = "pattern"
	ruleURL          = "url"
	ruleFilePath     = "file-path"
	ruleWindowsPath  = "windows-path"
	ruleEMail        = "e-mail"
	ruleNetwork      = "network-address"
	ruleHostPort     = "host-and-port"
	ruleTime         = "time"
	ruleAPIVersion   = "api-version"
	ruleVersion      = "version"
	ruleNotReference = "not-a-reference"
	ruleBareWord     = "bare-word"
	ruleNoTag        = "repository-without-tag"
	ruleInjected     = "filled-by-injector"
	rulePlaceholder  = "kustomize-placeholder"
	ruleReplaced     = "replaced-by-kustomization"
	ruleSchema       = "crd-schema"
	ruleStatus       = "status"
	ruleLastApplied  = "last-applied"
	ruleExample      = "example"
)

// reading is what a string says as a reference.
type reading struct {
	full   string // in full, when rule is empty
	rule   string // what holds it down
	host   bool   // it names a registry
	path   bool   // its repository has a '/' below the registry
	bare   bool   // it may be the name of a host: example.org:1.2
	tag    string // as written
	digest bool
}

// named tells whether the reading has what a bare word lacks.
func (r reading) named() bool {
	return r.rule == "" && !r.bare && (r.host || r.path || r.tag != "" || r.digest)
}

// pinned tells whether it names what to pull, not only from where.
func (r reading) pinned() bool { return r.rule == "" && (r.tag != "" || r.digest) }

// telling tells whether it can hardly be anything but an image, wherever it
// stands: a registry, a path and a tag or digest, or a path with a version.
func (r reading) telling() bool {
	switch {
	case !r.pinned() || r.bare:
		return false
	case r.host:
		return true
	default:
		return r.path && (r.digest || versionTag.MatchString(r.tag))
	}
}

var (
	versionTag   = regexp.MustCompile(`^(v?\d+\.\d+.*|latest)$`)
	templateMark = regexp.MustCompile(`\{\{|\}\}|\$\{|\$\(|\$[A-Za-z_]|%[sdv(]|<[A-Za-z]|\bREPLACE|__[A-Z]+__|@[A-Z_]+@`)
	windowsPath  = regexp.MustCompile(`^[A-Za-z]:[\\/]|\\`)
	eMail        = regexp.MustCompile(`^[^@/:\s]+@[^@/:\s]+\.[A-Za-z]+$`)
	onlyDigits   = regexp.MustCompile(`^\d{1,5}$`)
	clock        = regexp.MustCompile(`^\d{1,2}:\d{2}(:\d{2})?([.,]\d+)?([AaPp][Mm])?$|^\d{4}-\d{2}-\d{2}`)
	apiVersion   = regexp.MustCompile(`/v\d+((alpha|beta)\d+)?[:@]`)
	bareVersion  = regexp.MustCompile(`^v?\d+(\.\d+)*([-+][\w.-]+)?$`)
	transport    = regexp.MustCompile(`^docker(-pullable)?://`)
)

// read reads the whole of s as a reference. Ports are told from tags by where
// they stand: behind a host that a path follows, else behind a name.
func read(s string) reading {
	s = transport.ReplaceAllLiteralString(s, "")
	if rule := noReference(s); rule != "" {
		return reading{rule: rule}
	}
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return reading{rule: ruleNotReference}
	}
	var r reading
	first, rest, slash := strings.Cut(s, "/")
	r.host = slash && (strings.ContainsAny(first, ".:") || first == "localhost")
	name, _, _ := strings.Cut(first, ":")
	r.bare = !slash && strings.Contains(name, ".")
	r.path = slash && !r.host || strings.Contains(rest, "/")
	if t, ok := named.(reference.Tagged); ok {
		r.tag = t.Tag()
	}
	_, r.digest = named.(reference.Digested)
	r.full = reference.TagNameOnly(named).String()
	return r
}

// noReference returns the rule that says why s is something else, or "".
func noReference(s string) string {
	switch {
	case s == "":
		return ruleNotReference
	case templateMark.MatchString(s):
		return ruleTemplate
	case strings.Contains(s, "://") || strings.HasPrefix(s, "data:"):
		return ruleURL
	case windowsPath.MatchString(s):
		return ruleWindowsPath
	case isNetwork(s):
		return ruleNetwork
	case strings.HasPrefix(s, "/") || strings.HasPrefix(s, "./") || strings.HasPrefix(s, "../") || strings.HasPrefix(s, "~"):
		return ruleFilePath
	case strings.ContainsAny(s, "*?!"):
		return rulePattern
	case eMail.MatchString(s):
		return ruleEMail
	case clock.MatchString(s):
		return ruleTime
	case bareVersion.MatchString(s):
		return ruleVersion
	case apiVersion.MatchString(s):
		return ruleAPIVersion
	case s == "controller:latest":
		return rulePlaceholder
	default:
		return ""
	}
}

func isNetwork(s string) bool {
	if _, err := netip.ParsePrefix(s); err == nil {
		return true
	}
	if _, err := netip.ParseAddrPort(s); err == nil {
		return true
	}
	_, err := netip.ParseAddr(s)
	return err == nil
}

// candidate tells whether a string that stands nowhere in particular is worth
// a word when a rule holds it down: it has the parts of a reference.
func candidate(s string) bool {
	slash := strings.Index(s, "/")
	return len(s) <= 512 && slash > 0 && strings.ContainsAny(s[slash:], ":@") && !strings.Contains(s, "://")
}

// Keys that name an image, without case and punctuation.
var (
	imageKey = regexp.MustCompile(`^relatedimage|(image|images|imagename|imageref|imagereference|imageuri|imageurl)$`)
	pullKey  = regexp.MustCompile(`pull(policy|secret|secrets)$`)
	plainKey = regexp.MustCompile(`[-_. ]`)
)

// plain returns a key without case and punctuation.
func plain(key string) string { return plainKey.ReplaceAllLiteralString(strings.ToLower(key), "") }

// isImageKey tells whether the key of a field, an annotation, an environment
// variable or a flag says that its value is an image.
func isImageKey(key string) bool {
	if i := strings.LastIndex(key, "/"); i >= 0 {
		key = key[i+1:]
	}
	key = plain(key)
	return imageKey.MatchString(key) && !pullKey.MatchString(key)
}

// mentionsImage is for the looser names of variables, flags and files.
func mentionsImage(key string) bool {
	key = strings.ToLower(key)
	return strings.Contains(key, "image") && !strings.Contains(key, "pull")
}

// token separators of free text.
const separators = " \t\r\n\"'`,;()[]{}<>|="

// tokens cuts text into what may be references.
func tokens(s string) []string {
	out := strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(separators, r) })
	for i, t := range out {
		out[i] = strings.TrimRight(t, ".:!?")
	}
	return out
}
