package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/sealift/sealift/installer/site"
	"github.com/sealift/sealift/internal/problem"
)

// prompter asks the person at a terminal. A signal ends every question, and
// the terminal is then what it was.
type prompter struct {
	in  *os.File
	out io.Writer
}

// prompter returns who asks; ok is false where there is no terminal.
func (a *app) prompter() (p prompter, ok bool) {
	in, ok := a.In.(*os.File)
	return prompter{in: in, out: a.Err}, ok && term.IsTerminal(int(in.Fd()))
}

// line asks for a line without the space around it.
func (p prompter) line(ctx context.Context, question string) (string, error) {
	text, err := p.ask(ctx, question, func() ([]byte, error) {
		text, err := bufio.NewReader(p.in).ReadString('\n') // a terminal gives one line at a time
		return []byte(text), err
	})
	return strings.TrimSpace(string(text)), err
}

// secret asks for a line that is not shown.
func (p prompter) secret(ctx context.Context, question string) ([]byte, error) {
	defer fmt.Fprintln(p.out)
	fd := int(p.in.Fd())
	return p.ask(ctx, question, func() ([]byte, error) { return term.ReadPassword(fd) })
}

func (p prompter) ask(ctx context.Context, question string, read func() ([]byte, error)) ([]byte, error) {
	if err := ctx.Err(); err != nil { // between two questions: who reads would change the terminal after it was restored
		return nil, err
	}
	fd := int(p.in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	fmt.Fprint(p.out, question)
	type answer struct {
		text []byte
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // it stays when nobody types any more: the program ends
		text, err := read()
		answers <- answer{text, err}
	}()
	select {
	case a := <-answers:
		if errors.Is(a.err, io.EOF) {
			return nil, errors.New("nothing was typed")
		}
		return a.text, a.err
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), term.Restore(fd, before))
	}
}

// secret is what a variable has, or a person types.
type secret struct {
	what     string // such as passphrase
	variable string // of the environment, that is taken also when it is empty
	remedy   string // where there is neither a variable nor a terminal
}

// secret takes a secret from its variable, else asks for it once.
func (a *app) secret(ctx context.Context, s secret, question string) ([]byte, error) {
	if text, ok := os.LookupEnv(s.variable); ok {
		return []byte(text), nil
	}
	p, ok := a.prompter()
	if !ok {
		return nil, problem.New(problem.Usage, s.remedy, "a %s is needed and there is no terminal to ask for it", s.what)
	}
	return p.secret(ctx, question)
}

// newSecret takes a secret that nobody knows yet from its variable, else asks for
// it twice: what is mistyped once would be lost.
func (a *app) newSecret(ctx context.Context, s secret, question string) ([]byte, error) {
	first, err := a.secret(ctx, s, question)
	if err != nil {
		return nil, err
	}
	again, err := a.secret(ctx, s, "The same again: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, again) {
		return nil, problem.New(problem.Failed, "type the same "+s.what+" twice; nothing was written", "the two %ss differ", s.what)
	}
	return first, nil
}

// loginOptions lets credentials be asked for where there is a terminal.
func (a *app) loginOptions(ctx context.Context) site.LoginOptions {
	p, ok := a.prompter()
	if !ok {
		return site.LoginOptions{}
	}
	return site.LoginOptions{Prompt: func(what string) (site.Login, error) {
		name, err := p.line(ctx, fmt.Sprintf("user name at %s: ", what))
		if err != nil {
			return site.Login{}, fmt.Errorf("reading the user name: %w", err)
		}
		password, err := p.secret(ctx, "password: ")
		if err != nil {
			return site.Login{}, fmt.Errorf("reading the password: %w", err)
		}
		return site.Login{Username: name, Password: site.NewSecret(string(password))}, nil
	}}
}

// confirm lets a person type a name before something cannot be undone.
func (a *app) confirm(ctx context.Context, name, what string) error {
	p, ok := a.prompter()
	if !ok {
		return problem.New(problem.Usage, "look at the list, then add --yes", "there is no terminal to ask whether to %s", what)
	}
	answer, err := p.line(ctx, fmt.Sprintf("\nType %s to %s: ", name, what))
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if answer != name {
		return problem.New(problem.Failed, "", "the answer was not %s: nothing was changed", name)
	}
	return nil
}
