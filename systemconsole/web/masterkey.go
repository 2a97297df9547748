package web

// MasterKeyPage is the key that wraps the keys of tenants.
type MasterKeyPage struct {
	Frame
	Tabs []Tab
	May  bool // rotate it
}

// Template names the template.
func (MasterKeyPage) Template() string { return "master-key" }
