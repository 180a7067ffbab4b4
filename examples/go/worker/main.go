// Writes a notice for each change of a customer's points, fetching the events from Yeoul. Any number of these may run.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

var texts = map[string]string{
	"PointsEarned": "You earned %d points and have %d now.",
	"PointsSpent":  "You spent %d points and have %d left.",
}

type worker struct {
	database *pgxpool.Pool
	yeoul    string
	client   http.Client
}

func main() {
	ctx := context.Background()
	database, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	yeoul := cmp.Or(os.Getenv("YEOUL_URL"), "http://127.0.0.1:8089")
	it := &worker{database, yeoul, http.Client{Timeout: 30 * time.Second}}
	for {
		if err := it.work(ctx); err != nil { // Yeoul or the database is away, or the lease has ended
			log.Print("asked again in a second: ", err)
			time.Sleep(time.Second)
		}
	}
}

// One lease: what is in it is this worker's for so long, and of its keys nobody else has any.
func (it *worker) work(ctx context.Context) error {
	if err := it.database.Ping(ctx); err != nil { // nothing is fetched that could not be handled
		return err
	}
	answer, err := it.ask("pull", map[string]any{"limit": 10, "wait_s": 20, "lease_s": 5})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	events, err := cehttp.NewEventsFromHTTPResponse(answer)
	if err != nil {
		return err
	}
	lease, failed := answer.Header.Get("Yeoul-Lease"), map[string]bool{}
	for _, came := range events {
		// What follows a failed one of its key left the lease with it, and comes again behind it.
		if failed[came.Subject()] {
			continue
		}
		why := it.notify(ctx, came)
		switch said := map[string]any{"lease": lease, "ids": []string{came.ID()}}; {
		case why == nil:
			err = it.answer("ack", said)
		case isAway(why): // no event's fault: all that is left is given back, and no attempt is used up
			return cmp.Or(it.answer("nack", map[string]any{"lease": lease, "mode": "silent"}), why)
		default:
			failed[came.Subject()] = true
			said["reason"] = fmt.Sprintf("%.200s", why)
			err = it.answer("nack", said)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var ofTheServer = regexp.MustCompile("^(08|53|57P)")

// Whether the database failed, and not what was asked of it: no connection, or PostgreSQL ends, starts or is full.
func isAway(err error) bool {
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		return ofTheServer.MatchString(refused.Code)
	}
	var unconnected *pgconn.ConnectError
	var broken net.Error
	return errors.As(err, &unconnected) || errors.As(err, &broken) ||
		errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err)
}

type change struct {
	Customer        string
	Points, Balance int64
}

func (it *worker) notify(ctx context.Context, came event.Event) error {
	text, isKnown := texts[came.Type()]
	var data change
	if isKnown {
		if err := came.DataAs(&data); err != nil {
			return err
		}
		if data.Customer == "" { // `null` is a change to this decoder
			return errors.New("a change has a customer")
		}
	}
	return pgx.BeginFunc(ctx, it.database, func(tx pgx.Tx) error {
		what := came.Source() + "/" + came.ID()
		noted, err := tx.Exec(ctx, "INSERT INTO handled VALUES ($1) ON CONFLICT DO NOTHING", what)
		if err != nil || noted.RowsAffected() == 0 || !isKnown {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO notice (customer, text) VALUES ($1, $2)",
			data.Customer, fmt.Sprintf(text, data.Points, data.Balance))
		return err
	})
}

func (it *worker) answer(what string, said map[string]any) error {
	answer, err := it.ask(what, said)
	if err == nil {
		answer.Body.Close()
	}
	return err
}

func (it *worker) ask(what string, said map[string]any) (*http.Response, error) {
	body, err := json.Marshal(said)
	if err != nil {
		return nil, err
	}
	url := it.yeoul + "/subscriptions/notify/" + what
	answer, err := it.client.Post(url, "application/json", bytes.NewReader(body))
	if err == nil && answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		err = fmt.Errorf("%s: %s", what, answer.Status)
	}
	return answer, err
}
