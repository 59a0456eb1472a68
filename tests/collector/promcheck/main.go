// Command promcheck reads what Tessera has for Prometheus with Prometheus's own parsers: a rules file, the queries
// of a Grafana dashboard, and the text that a running server exposes.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: promcheck RULES DASHBOARD URL")
	}
	rules, err := checkRules(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	queries, err := checkDashboard(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	families, err := checkMetrics(os.Args[3])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d rules, %d queries, %d metrics\n", rules, queries, families)
}

func checkRules(path string) (int, error) {
	groups, errs := rulefmt.ParseFile(path, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.Default())
	if len(errs) > 0 {
		return 0, errors.Join(errs...)
	}
	count := 0
	for _, group := range groups.Groups {
		count += len(group.Rules)
	}
	return count, nil
}

func checkDashboard(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		return 0, err
	}
	// What Grafana puts in before Prometheus sees a query.
	grafana := strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$instance", ".*")
	count := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			if _, err := parser.NewParser(parser.Options{}).ParseExpr(grafana.Replace(target.Expr)); err != nil {
				return 0, fmt.Errorf("panel %s: %s: %w", panel.Title, target.Expr, err)
			}
			count++
		}
	}
	return count, nil
}

func checkMetrics(url string) (int, error) {
	response, err := http.Get(url)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	textParser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := textParser.TextToMetricFamilies(response.Body)
	return len(families), err
}
