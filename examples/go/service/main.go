// Loyalty points beside a till: publishes purchases over HTTP, is told of them by push, and keeps points in a PostgreSQL,
// with an event for each change in the same transaction.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"regexp"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	wonPerPoint   = 100
	eventBytesMax = 1 << 20
)

var (
	name      = regexp.MustCompile(`^\P{Cc}{1,100}$`)
	errTooFew = errors.New("there are not so many points")
	client    = http.Client{Timeout: 10 * time.Second}
)

type service struct {
	database *pgxpool.Pool
	webhook  *standardwebhooks.Webhook
	yeoul    string
}

type purchase struct {
	Customer string `json:"customer"`
	Won      int64  `json:"won"`
}

type change struct {
	Customer string `json:"customer"`
	Points   int64  `json:"points"`
	Balance  int64  `json:"balance"`
}

func main() {
	database, err := pgxpool.New(context.Background(), os.Getenv("DATABASE_URL"))
	if err != nil {
		log.Fatal(err)
	}
	webhook, err := standardwebhooks.NewWebhook(os.Getenv("POINTS_SECRET"))
	if err != nil {
		log.Fatal(err)
	}
	it := &service{database, webhook, cmp.Or(os.Getenv("YEOUL_URL"), "http://127.0.0.1:8089")}
	http.HandleFunc("PUT /purchases/{id}", it.publishPurchase)
	http.HandleFunc("POST /events", it.receive)
	http.HandleFunc("PUT /redemptions/{id}", it.redeem)
	http.HandleFunc("GET /customers/{customer}", it.show)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+cmp.Or(os.Getenv("PORT"), "9000"), nil))
}

// The client's id is the event's: whoever asks again because no answer came publishes nothing twice.
func (it *service) publishPurchase(w http.ResponseWriter, r *http.Request) {
	var bought purchase
	id := r.PathValue("id")
	if !read(r, &bought) || !name.MatchString(id) || !name.MatchString(bought.Customer) || !isAmount(bought.Won) {
		http.Error(w, "a purchase has `customer` and `won`", http.StatusUnprocessableEntity)
		return
	}
	made := event.New()
	made.SetID(id)
	made.SetSource("/till")
	made.SetType("Purchased")
	made.SetSubject(bought.Customer)
	answer, err := it.send(r.Context(), made, bought)
	if err != nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the purchase is not published: ask again", http.StatusServiceUnavailable)
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	w.Header().Set("Retry-After", cmp.Or(answer.Header.Get("Retry-After"), "1"))
	w.WriteHeader(answer.StatusCode)
	io.Copy(w, answer.Body)
}

// Structured: what is not ASCII stands in a body as it is.
func (it *service) send(ctx context.Context, made event.Event, data any) (*http.Response, error) {
	if err := made.SetData(event.ApplicationJSON, data); err != nil {
		return nil, err
	}
	request, err := cehttp.NewHTTPRequestFromEvent(binding.WithForceStructured(ctx), it.yeoul+"/events/purchase", made)
	if err != nil {
		return nil, err
	}
	return client.Do(request)
}

// 2xx acknowledges; whatever else this answers, the event comes again.
func (it *service) receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, eventBytesMax))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if err := it.webhook.Verify(body, r.Header); err != nil {
		http.Error(w, err.Error(), http.StatusUnauthorized)
		return
	}
	if err := it.handle(r.Context(), r.Header, body); err != nil {
		fail(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (it *service) handle(ctx context.Context, header http.Header, body []byte) error {
	message := cehttp.NewMessage(header, io.NopCloser(bytes.NewReader(body)))
	came, err := binding.ToEvent(ctx, message)
	if err != nil {
		return err
	}
	if came.Type() != "Purchased" { // publishers add kinds: others are none of our business
		return nil
	}
	var bought purchase
	if err := came.DataAs(&bought); err != nil {
		return err
	}
	// Of the attributes only the id is signed, as the webhook's.
	return it.earn(ctx, header.Get("webhook-id"), bought.Customer, bought.Won/wonPerPoint)
}

func (it *service) earn(ctx context.Context, event, customer string, points int64) error {
	return it.once(ctx, event, func(tx pgx.Tx) error {
		made := change{Customer: customer, Points: points}
		row := tx.QueryRow(ctx, `INSERT INTO account VALUES ($1, $2) ON CONFLICT (customer)
			DO UPDATE SET points = account.points + excluded.points RETURNING points`, customer, points)
		if err := row.Scan(&made.Balance); err != nil {
			return err
		}
		return publish(ctx, tx, "PointsEarned", made)
	})
}

func (it *service) redeem(w http.ResponseWriter, r *http.Request) {
	var wanted change
	id, ctx := r.PathValue("id"), r.Context()
	if !read(r, &wanted) || !name.MatchString(id) || !name.MatchString(wanted.Customer) || !isAmount(wanted.Points) {
		http.Error(w, "a redemption has `customer` and `points`", http.StatusUnprocessableEntity)
		return
	}
	err := it.once(ctx, "redemption/"+id, func(tx pgx.Tx) error {
		row := tx.QueryRow(ctx, `UPDATE account SET points = points - $1
			WHERE customer = $2 AND points >= $1 RETURNING points`, wanted.Points, wanted.Customer)
		if err := row.Scan(&wanted.Balance); errors.Is(err, pgx.ErrNoRows) {
			return errTooFew
		} else if err != nil {
			return err
		}
		return publish(ctx, tx, "PointsSpent", wanted)
	})
	switch {
	case errors.Is(err, errTooFew):
		http.Error(w, err.Error(), http.StatusConflict)
	case err != nil:
		fail(w, err)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// Notes it in the transaction of its effect: what is noted already has had it. Commits, or rolls back if there is an error.
func (it *service) once(ctx context.Context, what string, work func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, it.database, func(tx pgx.Tx) error {
		noted, err := tx.Exec(ctx, "INSERT INTO handled VALUES ($1) ON CONFLICT DO NOTHING", what)
		if err != nil || noted.RowsAffected() == 0 {
			return err
		}
		return work(tx)
	})
}

// An event by SQL, last in its transaction: until that is over nobody else publishes in its partition.
func publish(ctx context.Context, tx pgx.Tx, kind string, made change) error {
	data, err := json.Marshal(made)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, "INSERT INTO yeoul_outbox (topic, key, type, data) VALUES ('points', $1, $2, $3)",
		made.Customer, kind, string(data))
	return err
}

func (it *service) show(w http.ResponseWriter, r *http.Request) {
	customer := r.PathValue("customer")
	shown := struct {
		Customer string   `json:"customer"`
		Points   int64    `json:"points"`
		Notices  []string `json:"notices"`
	}{Customer: customer}
	query := "SELECT points FROM account WHERE customer = $1"
	err := it.database.QueryRow(r.Context(), query, customer).Scan(&shown.Points)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		fail(w, err)
		return
	}
	// What went wrong asking is told by whoever collects.
	rows, _ := it.database.Query(r.Context(), "SELECT text FROM notice WHERE customer = $1 ORDER BY number", customer)
	if shown.Notices, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(shown)
}

func read(r *http.Request, into any) bool {
	return json.NewDecoder(io.LimitReader(r.Body, eventBytesMax)).Decode(into) == nil
}

func isAmount(number int64) bool { return number >= 1 && number <= 1_000_000_000 }

func fail(w http.ResponseWriter, err error) {
	log.Print(err)
	http.Error(w, "it failed: ask again", http.StatusInternalServerError)
}
