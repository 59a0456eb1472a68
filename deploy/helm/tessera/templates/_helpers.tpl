{{- define "tessera.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "tessera.selector" -}}
app.kubernetes.io/name: tessera
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tessera.labels" -}}
{{ include "tessera.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "tessera.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "tessera.name" .) -}}
{{- end -}}

{{/* What Kubernetes asks: gRPC where it can, the admin port where TLS is in the way. */}}
{{- define "tessera.readiness" -}}
{{- if .Values.tls.secretName -}}
httpGet: { path: /readyz, port: admin }
{{- else -}}
grpc: { port: {{ .Values.service.port }}, service: tessera.v1.ExtractionService }
{{- end -}}
{{- end -}}

{{- define "tessera.liveness" -}}
{{- if .Values.tls.secretName -}}
httpGet: { path: /livez, port: admin }
{{- else -}}
grpc: { port: {{ .Values.service.port }} }
{{- end -}}
{{- end -}}

{{/* Ports of fetch.from, each once: those that are written, else those of the schemes. */}}
{{- define "tessera.fetchPorts" -}}
{{- $ports := list -}}
{{- range .Values.fetch.from -}}
{{- $own := regexFind ":[0-9]+$" . | trimPrefix ":" -}}
{{- $ports = append $ports (int ($own | default (ternary "443" "80" (hasPrefix "https:" .)))) -}}
{{- end -}}
{{- $ports | uniq | toJson -}}
{{- end -}}

{{/* Not empty where the driver has a place for the kernels that it compiles. */}}
{{- define "tessera.kernelCache" -}}
{{- if and .Values.gpu.count .Values.gpu.kernelCache.enabled }}yes{{ end }}
{{- end }}
