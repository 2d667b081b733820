# The function as a container, behind the same web server as the SCF web function.
#   docker build -t sms-login . && docker run --env-file .env -p 9000:9000 sms-login
# With users in SQL or asymmetric keys: --build-arg REQUIREMENTS="requirements-sql.txt requirements-asymmetric.txt"
FROM python:3.13-slim AS build
ARG REQUIREMENTS=requirements.txt
WORKDIR /app
COPY requirements*.txt /
RUN for file in $REQUIREMENTS; do echo "-r /$file"; done \
    | xargs python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-compile --target /app
COPY sms_login /app/sms_login
RUN python -m compileall -q --invalidation-mode unchecked-hash /app

# Nothing of the build remains but /app: no pip cache, no requirements.
FROM python:3.13-slim
RUN python -m pip uninstall --yes --quiet --root-user-action ignore pip
COPY --from=build /app /app
# Nobody: a number, so that Kubernetes' runAsNonRoot can tell.
USER 65532:65532
WORKDIR /app
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
EXPOSE 9000
HEALTHCHECK CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('PORT', '9000') + '/?method=health', timeout=3)"]
ENTRYPOINT ["python", "-m", "sms_login.http.wsgi"]
