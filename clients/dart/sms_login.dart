/// Signs a person in by SMS. For Flutter and Dart 3, without a package; not for the web, which has no dart:io.
library;

import 'dart:async';
import 'dart:convert';
import 'dart:io';
import 'dart:math';

typedef Answer = Map<String, dynamic>;

class Refused implements Exception {
  Refused(Answer answer)
      : code = answer['codeStr'] as String,
        message = answer['errorMessage'] as String,
        data = answer['data'] as Answer,
        retryAfter = answer['retryAfter'] as int?;

  final String code;
  final String message;
  final Answer data;
  final int? retryAfter;

  @override
  String toString() => message;
}

class Tokens {
  Tokens(Answer user)
      : token = user['token'] as String,
        refreshToken = user['refreshToken'] as String;

  final String token;
  final String refreshToken;
}

class SmsLogin {
  /// [_tokens] are those of the last time, if any; [_save] keeps new ones, and null once they are of no more use.
  SmsLogin(this._url, this._tokens, this._save);

  final String _url;
  final void Function(Tokens?) _save;
  Tokens? _tokens;
  Future<void>? _refreshing;

  /// Returns sessionId and resendAfter. [more]: sessionId to send the same code again; captchaTicket and captchaRandstr
  /// after CaptchaRequired.
  Future<Answer> sendCode(String phone, [Answer more = const {}]) async {
    try {
      return await _send('getSms', {'phone': phone, ...more});
    } on Refused catch (refused) {
      if (refused.code == 'SendUnknown') return refused.data; // it may arrive, and its code works
      rethrow;
    }
  }

  Future<Answer> logIn(String phone, String code, String sessionId) async {
    final user = await _send('login', {'phone': phone, 'code': code, 'sessionId': sessionId});
    _keep(Tokens(user));
    return user;
  }

  /// Calls a method with the token of the login, and refreshes it if it has expired.
  Future<Answer> call(String method, [Answer params = const {}]) async {
    final used = _signedIn();
    try {
      return await _send(method, params, used.token);
    } on Refused catch (refused) {
      if (refused.code != 'TokenExpired') {
        _forget(refused, used);
        rethrow;
      }
    }
    if (identical(_tokens, used)) await _refresh(used);
    return _send(method, params, _signedIn().token);
  }

  Future<void> logOut() async {
    final used = _tokens;
    _keep(null); // signed out here, even if the function does not hear of it
    if (used == null) return;
    try {
      await _send('logout', {'refreshToken': used.refreshToken});
    } on Exception {
      // it has ended already, or there was no answer
    }
  }

  Tokens _signedIn() => _tokens ?? (throw StateError('signed out'));

  /// Calls that expire together share one refresh.
  Future<void> _refresh(Tokens used) =>
      _refreshing ??= _refreshOnce(used).whenComplete(() => _refreshing = null);

  Future<void> _refreshOnce(Tokens used) async {
    try {
      _keep(Tokens(await _send('refresh', {'refreshToken': used.refreshToken})));
    } on Refused catch (refused) {
      _forget(refused, used);
      rethrow;
    }
  }

  /// Forgets the tokens of a session that has ended: show the login.
  void _forget(Refused refused, Tokens used) {
    final over = refused.code == 'TokenInvalid' || refused.code == 'NotRegistered';
    if (over && identical(_tokens, used)) _keep(null);
  }

  void _keep(Tokens? tokens) {
    _tokens = tokens;
    _save(tokens);
  }

  /// Repeats a request whose answer was lost, once and with the same key: it sends no second SMS.
  Future<Answer> _send(String method, Answer params, [String? token]) async {
    final random = Random.secure();
    final key = List.generate(32, (_) => random.nextInt(16).toRadixString(16)).join();
    try {
      return await _post(method, params, key, token);
    } on Refused catch (refused) {
      if (refused.code != 'ServiceUnavailable') rethrow;
    } on Exception {
      // no connection, or no answer of the function's
    }
    return _post(method, params, key, token);
  }

  Future<Answer> _post(String method, Answer params, String key, String? token) async {
    final client = HttpClient();
    try {
      // The repeat of a refresh must not come too late.
      return await _exchange(client, method, params, key, token).timeout(const Duration(seconds: 8));
    } finally {
      client.close(force: true);
    }
  }

  Future<Answer> _exchange(HttpClient client, String method, Answer params, String key, String? token) async {
    final request = await client.postUrl(Uri.parse('$_url/$method'));
    request.headers.set('Content-Type', 'application/json');
    request.headers.set('Idempotency-Key', key);
    if (token != null) request.headers.set('Authorization', 'Bearer $token');
    request.add(utf8.encode(jsonEncode(params)));
    final response = await request.close();
    final answer = jsonDecode(await utf8.decodeStream(response));
    if (answer is! Answer || answer['codeStr'] is! String) throw const FormatException("not an answer of the function's");
    if (answer['errorCode'] != 0) throw Refused(answer);
    return answer['data'] as Answer;
  }
}

/// The seconds left, each second, down to 0. The clock counts, since a device may sleep in between.
Stream<int> countdown(int seconds) async* {
  final end = DateTime.now().add(Duration(seconds: seconds));
  int left;
  do {
    left = max(0, (end.difference(DateTime.now()).inMilliseconds / 1000).ceil());
    yield left;
    if (left > 0) await Future<void>.delayed(const Duration(seconds: 1));
  } while (left > 0);
}
