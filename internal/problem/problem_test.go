package problem_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sealift/sealift/internal/problem"
)

func TestKindsAndRemediesTravel(t *testing.T) {
	base := errors.New("base")
	err := problem.New(problem.Verification, "inner remedy", "reading: %w", base)
	err = fmt.Errorf("outer: %w", problem.WithRemedy(errors.Join(err, errors.New("other")), "outer remedy"))
	err = problem.WithRemedy(err, "inner remedy") // told once
	require.ErrorIs(t, err, base)
	require.Equal(t, problem.Verification, problem.KindOf(err))
	require.Equal(t, []string{"inner remedy", "outer remedy"}, problem.Remedies(err))
	require.Equal(t, problem.Failed, problem.KindOf(base))
	require.NoError(t, problem.WithRemedy(nil, "x"))
	require.NoError(t, problem.As(problem.Usage, nil))
	require.Empty(t, problem.Remedies(nil))
}
