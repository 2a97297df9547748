package startup_test

import (
	"os"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/sealift/sealift/internal/startup"
)

var atStart, environment = gcPercent(), os.Getenv("CI")

func TestCollectorWaitsForTheStartAlone(t *testing.T) {
	assert.Equal(t, uint64(800), atStart)
	assert.Eventually(t, func() bool { return gcPercent() == 100 }, 10*time.Second, 10*time.Millisecond, "the usual percentage never came back")
}

// Libraries that ask terminals where there is no CI find one until main begins.
func TestNothingIsAskedAtTheStart(t *testing.T) {
	assert.NotEmpty(t, environment)
	startup.Done()
	if environment == "starting" {
		environment = ""
	}
	assert.Equal(t, environment, os.Getenv("CI"))
}

func gcPercent() uint64 {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
