(coalesce(bool_or(marker = 'liver/plp' AND age <= 7776000000), false)
  AND (coalesce(bool_or(marker = 'liver/plp' AND age <= 15552000000 AND low >= 20000000), false)
    AND coalesce(bool_or(marker = 'liver/plp' AND age <= 15552000000 AND high <= 30000000), false)))
