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
	cmd.Flags().Var((*jobCount)(jobs), "jobs", usage)
}

type jobCount int

// Set implements pflag.Value.
func (j *jobCount) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > mostJobs {
		return fmt.Errorf("it is a number from 1 to %d", mostJobs)
	}
	*j = jobCount(n)
	return nil
}

// String implements pflag.Value.
func (j *jobCount) String() string {
	if *j == 0 {
		return "" // help shows no default besides the one of the text
	}
	return strconv.Itoa(int(*j))
}

// Type implements pflag.Value.
func (*jobCount) Type() string { return "int" }
