package startup_test

import (
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	_ "github.com/sealift/sealift/internal/startup"
)

var atStart = gcPercent()

func TestCollectorWaitsForTheStartAlone(t *testing.T) {
	assert.Equal(t, uint64(800), atStart)
	assert.Eventually(t, func() bool { return gcPercent() == 100 }, 10*time.Second, 10*time.Millisecond, "the usual percentage never came back")
}

func gcPercent() uint64 {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}
