/// A whole login in a terminal: `dart run login.dart [URL PHONE]`.
library;

import 'dart:io';

import 'sms_login.dart';

Future<void> main(List<String> arguments) async {
  final [url, phone] = arguments.isEmpty ? ['http://127.0.0.1:9000', '+8613800138000'] : arguments;
  final login = SmsLogin(url, null, (_) {}); // an app keeps the tokens

  final sent = await login.sendCode(phone);
  await for (final left in countdown(sent['resendAfter'] as int)) {
    print('Send again in $left s');
  }
  final again = await login.sendCode(phone, {'sessionId': sent['sessionId']});
  stdout.write('Code: ');
  await login.logIn(phone, stdin.readLineSync() ?? '', again['sessionId'] as String);

  // Both at once: one of them refreshes if the token has expired.
  final [user, _] = await Future.wait([login.call('getUserInfo'), login.call('getUserInfo')]);
  print('Signed in as ${user['phone']}');
  await login.logOut();
}
