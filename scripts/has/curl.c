/* SPDX-License-Identifier: MIT */
/* libcurl 7.80: a second opinion on URLs, for tests. */
#include <curl/curl.h>

int main(void)
{
	CURLU *url = curl_url();
	CURLUcode code = curl_url_set(url, CURLUPART_URL, "http://a/", CURLU_URLENCODE);

	curl_url_cleanup(url);
	return code != CURLUE_OK;
}
