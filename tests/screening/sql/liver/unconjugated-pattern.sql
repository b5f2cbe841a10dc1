(coalesce(bool_or(marker = 'liver/total-bilirubin' AND age <= 7776000000), false)
  AND (coalesce(bool_or(marker = 'liver/total-bilirubin' AND age <= 8035200000 AND low >= upper_least), false)
    AND (coalesce(bool_or(marker = 'liver/direct-bilirubin' AND age <= 8035200000), false)
      AND coalesce(bool_or(marker = 'liver/total-bilirubin' AND age <= 8035200000), false))))
