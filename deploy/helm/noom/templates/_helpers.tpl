{{- define "noom.labels" -}}
app.kubernetes.io/name: noom
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
