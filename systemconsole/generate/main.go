// Command generate writes the definitions of the console's custom resources
// into a folder, one file a kind.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/sealift/sealift/systemconsole"
	"github.com/sealift/sealift/systemconsole/store/kube"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: generate FOLDER")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	for _, k := range systemconsole.Kinds() {
		data, err := kube.Definition(k)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, kube.Plural(k.Name)+".yaml"), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}
