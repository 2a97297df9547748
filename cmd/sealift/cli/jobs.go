package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
)

// mostJobs is the most that --jobs takes: each has a connection and a buffer.
const mostJobs = 256

// jobsFlag defines --jobs; 0 is the default of who does the work.
func jobsFlag(cmd *cobra.Command, jobs *int, usage string) {
	cmd.Flags().Func("jobs", usage, func(text string) error {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > mostJobs {
			return fmt.Errorf("it is a number from 1 to %d", mostJobs)
		}
		*jobs = n
		return nil
	})
}
