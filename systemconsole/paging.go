package systemconsole

import (
	"strconv"

	"github.com/sealift/sealift/systemconsole/web"
)

// pageOf returns a page of a list that is in memory, by its number from 1. What
// is no number is the first page, one past the end the last.
func pageOf[T any](all []T, number string, rows int) ([]T, web.Pages) {
	last := max(1, (len(all)+rows-1)/rows)
	n, _ := strconv.Atoi(number) // what is no number is the first page
	n = min(max(n, 1), last)
	return all[(n-1)*rows : min(n*rows, len(all))], web.Pages{Number: n, Last: last, Rows: len(all)}
}
