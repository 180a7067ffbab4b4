// Writes a notice for each change of a customer's points, fetching the events from Yeoul. Any number of these may run.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
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
	answer, err := it.ask("pull", map[string]any{"limit": 10, "wait_s": 20, "lease_s": 5})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	events, err := cehttp.NewEventsFromHTTPResponse(answer)
	if err != nil {
		return err
	}
	failed := map[string]bool{}
	for _, came := range events {
		// What follows a failed one of its key left the lease with it, and comes again behind it.
		if failed[came.Subject()] {
			continue
		}
		verb, said := "ack", map[string]any{"lease": answer.Header.Get("Yeoul-Lease"), "ids": []string{came.ID()}}
		if err := it.notify(ctx, came); err != nil {
			var refused *pgconn.PgError
			if !errors.As(err, &refused) {
				return err // no event's fault: the lease ends by itself
			}
			failed[came.Subject()] = true
			verb, said["reason"] = "nack", fmt.Sprintf("%.200s", err)
		}
		if answer, err := it.ask(verb, said); err != nil {
			return err
		} else {
			answer.Body.Close()
		}
	}
	return nil
}

func (it *worker) notify(ctx context.Context, came event.Event) error {
	return pgx.BeginFunc(ctx, it.database, func(tx pgx.Tx) error {
		what := came.Source() + "/" + came.ID()
		noted, err := tx.Exec(ctx, "INSERT INTO handled VALUES ($1) ON CONFLICT DO NOTHING", what)
		text, isKnown := texts[came.Type()]
		if err != nil || noted.RowsAffected() == 0 || !isKnown {
			return err
		}
		var data struct {
			Customer        string
			Points, Balance int64
		}
		if err := came.DataAs(&data); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "INSERT INTO notice (customer, text) VALUES ($1, $2)",
			data.Customer, fmt.Sprintf(text, data.Points, data.Balance))
		return err
	})
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
