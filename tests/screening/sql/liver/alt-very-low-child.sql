(coalesce(bool_or(marker = 'liver/alt' AND age <= 7776000000), false)
  AND coalesce(bool_or(marker = 'liver/alt' AND age <= 8035200000 AND high <= 5000000), false))
