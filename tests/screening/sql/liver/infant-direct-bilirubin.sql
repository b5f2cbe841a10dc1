(coalesce(bool_or(marker = 'liver/direct-bilirubin' AND age <= 7776000000), false)
  AND coalesce(bool_or(marker = 'liver/direct-bilirubin' AND age <= 8035200000 AND low >= 1000000), false))
